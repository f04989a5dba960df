//! Reads Rust source and tells which paths it names, wherever they stand: in imports, types, expressions, macros and
//! attributes; each as it is written, and as it is once imports, `self`, `super` and re-exports are looked through.

use std::collections::{BTreeMap, BTreeSet};

use proc_macro2::{Delimiter, TokenStream, TokenTree};
use syn::{
    Attribute, ImplItem, Item, Lit, Meta, UseTree,
    spanned::Spanned,
    visit::{self, Visit},
};

/// How many imports in a row are looked through; more are a circle.
const LONGEST_CHAIN: usize = 8;

/// A path that a file names.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Sighting {
    /// Begins with `crate` for what is ours; ends with `*` for a glob.
    pub path: Vec<String>,
    pub line: usize,
    /// In code that exists only in tests.
    pub test: bool,
}

/// One file.
#[derive(Debug)]
pub struct Source {
    /// As in `src/queue/decide.rs`.
    pub name: String,
    /// The top-level module it belongs to, or `lib` or `main`.
    pub module: String,
    /// Its module path, as in `queue`, `decide`.
    pub place: Vec<String>,
    pub sightings: Vec<Sighting>,
    /// Lines outside of tests with `async` or `await`.
    pub asyncs: Vec<usize>,
    /// Lines with an `allow` attribute.
    pub allows: Vec<usize>,
    /// Lines that would hide an import, and what they do.
    pub hidden: Vec<(usize, &'static str)>,
    /// Modules it declares whose files exist only in tests.
    test_modules: Vec<Vec<String>>,
}

/// All files, and what each module's names stand for.
#[derive(Debug, Default)]
pub struct Crate {
    sources: Vec<Source>,
    /// By module path and name; a name may be imported differently under different conditions.
    names: BTreeMap<(Vec<String>, String), BTreeSet<Vec<String>>>,
}

impl Crate {
    /// Reads all files; the second part tells which could not be read.
    pub fn read(files: &[(String, String)]) -> (Self, Vec<String>) {
        let (mut read, mut unreadable) = (Self::default(), Vec::new());
        for (name, text) in files {
            match syn::parse_file(text) {
                Ok(file) => read.add(name, &file),
                Err(error) => unreadable.push(format!("{name}:{}: cannot be read: {error}", error.span().start().line)),
            }
        }
        read.mark_files_of_tests();
        (read, unreadable)
    }

    pub fn sources(&self) -> &[Source] {
        &self.sources
    }

    /// What a file names, with everything that stands behind each name.
    pub fn resolved(&self, source: &Source) -> BTreeSet<Sighting> {
        let mut all: BTreeSet<Sighting> = source.sightings.iter().cloned().collect();
        let mut newest = source.sightings.clone();
        for _ in 0..LONGEST_CHAIN {
            newest = newest
                .iter()
                .flat_map(|sighting| self.behind(sighting))
                .filter(|sighting| !all.contains(sighting))
                .collect();
            all.extend(newest.iter().cloned());
        }
        all
    }

    /// One step: a part of the path that is an import of the module before it is replaced by what it imports.
    fn behind(&self, sighting: &Sighting) -> Vec<Sighting> {
        let mut found = Vec::new();
        let Some((root, path)) = sighting.path.split_first() else {
            return found;
        };
        if root != "crate" {
            return found;
        }
        for (index, name) in path.iter().enumerate() {
            let key = (path[..index].to_vec(), name.clone());
            for target in self.names.get(&key).into_iter().flatten() {
                let path = target.iter().chain(&path[index + 1..]).cloned().collect();
                found.push(Sighting { path, ..sighting.clone() });
            }
        }
        found
    }

    fn add(&mut self, name: &str, file: &syn::File) {
        let place = place(name);
        let mut reader = Reader {
            main: name == "src/main.rs",
            modules: place.clone(),
            tests: 0,
            krate: self,
            source: Source::empty(name, place),
        };
        reader.tests += usize::from(is_for_tests(&file.attrs));
        Names(&mut reader).visit_file(file);
        reader.visit_file(file);
        let source = reader.source;
        self.sources.push(source);
    }

    fn mark_files_of_tests(&mut self) {
        let modules: Vec<_> = self.sources.iter().flat_map(|source| source.test_modules.clone()).collect();
        for source in &mut self.sources {
            if modules.iter().any(|module| source.place.starts_with(module)) {
                source.asyncs.clear();
                source.sightings.iter_mut().for_each(|sighting| sighting.test = true);
            }
        }
    }
}

impl Source {
    fn empty(name: &str, place: Vec<String>) -> Self {
        let module = match name {
            "src/main.rs" => "main".to_owned(),
            _ => place.first().cloned().unwrap_or_else(|| "lib".to_owned()),
        };
        let (sightings, asyncs, allows, hidden, test_modules) = <_>::default();
        Self {
            name: name.to_owned(),
            module,
            place,
            sightings,
            asyncs,
            allows,
            hidden,
            test_modules,
        }
    }
}

/// `src/queue/mod.rs` is `queue`, `src/queue/decide.rs` is `queue::decide`, the roots are nothing.
fn place(name: &str) -> Vec<String> {
    let name = name.trim_start_matches("src/").trim_end_matches(".rs");
    let mut place: Vec<_> = name.split('/').map(str::to_owned).collect();
    if matches!(place.last().map(String::as_str), Some("mod" | "lib" | "main")) {
        place.pop();
    }
    place
}

fn is_for_tests(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        let path = attribute.path();
        match &attribute.meta {
            Meta::List(list) if path.is_ident("cfg") => demands_test(list.tokens.clone()),
            _ => path.segments.last().is_some_and(|segment| segment.ident == "test"),
        }
    })
}

/// `test`, or an `all` with it: nothing else is never compiled outside of tests.
fn demands_test(condition: TokenStream) -> bool {
    let tokens: Vec<_> = condition.into_iter().collect();
    match tokens.as_slice() {
        [TokenTree::Ident(word)] => word == "test",
        [TokenTree::Ident(word), TokenTree::Group(group)] if word == "all" => {
            let parts: Vec<_> = group.stream().into_iter().collect();
            parts
                .split(|token| matches!(token, TokenTree::Punct(comma) if comma.as_char() == ','))
                .any(|part| demands_test(part.iter().cloned().collect()))
        }
        _ => false,
    }
}

struct Reader<'a> {
    main: bool,
    /// The module being read, with those that stand inside the file.
    modules: Vec<String>,
    /// How many enclosing items exist only in tests.
    tests: usize,
    krate: &'a mut Crate,
    source: Source,
}

impl Reader<'_> {
    fn name(&mut self, name: String, target: Vec<String>) {
        let itself = target.len() == 1 && target.first() == Some(&name);
        if name != "_" && name != "*" && !itself {
            self.krate.names.entry((self.modules.clone(), name)).or_default().insert(target);
        }
    }

    /// The path of something inside the module being read.
    fn inner(&self, name: &str) -> Vec<String> {
        ["crate".to_owned()]
            .into_iter()
            .chain(self.modules.iter().cloned())
            .chain([name.to_owned()])
            .collect()
    }

    /// `crate::...` for what is ours by the way it is written, else the path as it is.
    fn absolute(&self, path: Vec<String>) -> Vec<String> {
        let mut modules = self.modules.clone();
        let mut rest = path.as_slice();
        match path.first().map(String::as_str) {
            Some("thermostat") => return ["crate".to_owned()].into_iter().chain(path[1..].iter().cloned()).collect(),
            Some("self") => rest = &rest[1..],
            Some("super") => {}
            _ => return path,
        }
        while let Some(("super", behind)) = rest.split_first().map(|(first, behind)| (first.as_str(), behind)) {
            modules.pop();
            rest = behind;
        }
        ["crate".to_owned()]
            .into_iter()
            .chain(modules)
            .chain(rest.iter().cloned())
            .collect()
    }

    fn see(&mut self, path: Vec<String>, line: usize) {
        let path = self.absolute(path);
        let test = self.tests > 0;
        // A bare name may be one of this module: looked up there, it is found if it is.
        if path.first().is_some_and(|first| first != "crate" && first != "Self") && !self.main {
            let local: Vec<_> = self
                .inner("")
                .into_iter()
                .filter(|part| !part.is_empty())
                .chain(path.iter().cloned())
                .collect();
            let known = self.krate.names.contains_key(&(self.modules.clone(), path[0].clone()));
            if known {
                self.source.sightings.push(Sighting { path: local, line, test });
                return;
            }
        }
        self.source.sightings.push(Sighting { path, line, test });
    }

    fn see_async(&mut self, line: usize) {
        if self.tests == 0 {
            self.source.asyncs.push(line);
        }
    }

    /// Paths and words in tokens that nobody has parsed.
    fn see_tokens(&mut self, tokens: TokenStream) {
        let tokens: Vec<_> = tokens.into_iter().collect();
        let mut path: Vec<String> = Vec::new();
        for (index, token) in tokens.iter().enumerate() {
            let line = token.span().start().line;
            match token {
                TokenTree::Group(group) => {
                    self.see_tokens(group.stream());
                    let attribute = group.delimiter() == Delimiter::Bracket && index > 0 && tokens[index - 1].to_string() == "#";
                    let first = group.stream().into_iter().next().map(|token| token.to_string());
                    if attribute && first.as_deref() == Some("allow") {
                        self.source.allows.push(line);
                    }
                }
                TokenTree::Ident(word) => {
                    let word = word.to_string();
                    if matches!(word.as_str(), "async" | "await") {
                        self.see_async(line);
                    }
                    path.push(word);
                    let goes_on = matches!(&tokens[index + 1..], [TokenTree::Punct(one), TokenTree::Punct(two), TokenTree::Ident(_), ..]
                        if one.as_char() == ':' && two.as_char() == ':');
                    if !goes_on {
                        let path = std::mem::take(&mut path);
                        if path.len() > 1 {
                            self.see(path, line);
                        }
                    }
                }
                TokenTree::Literal(literal) => self.see_literal(&literal.to_string(), line),
                TokenTree::Punct(_) => {}
            }
        }
    }

    /// Derive macros are given paths as text.
    fn see_literal(&mut self, literal: &str, line: usize) {
        let Ok(Lit::Str(text)) = syn::parse_str::<Lit>(literal) else {
            return;
        };
        if let Ok(path) = text.parse::<syn::Path>()
            && path.segments.len() > 1
        {
            self.see(segments(&path), line);
        }
    }
}

/// Enters a file's modules and imports into the table of names, before paths are read that use them. An import inside a
/// function counts for its whole module.
struct Names<'a, 'b>(&'a mut Reader<'b>);

impl<'ast> Visit<'ast> for Names<'_, '_> {
    fn visit_item_mod(&mut self, module: &'ast syn::ItemMod) {
        let name = module.ident.to_string();
        let target = self.0.inner(&name);
        self.0.name(name.clone(), target);
        self.0.modules.push(name);
        visit::visit_item_mod(self, module);
        self.0.modules.pop();
    }

    fn visit_item_use(&mut self, import: &'ast syn::ItemUse) {
        for (path, name) in flatten(&import.tree) {
            let target = self.0.absolute(path);
            self.0.name(name, target);
        }
    }
}

impl<'ast> Visit<'ast> for Reader<'_> {
    fn visit_item(&mut self, item: &'ast Item) {
        let tests = usize::from(is_for_tests(attributes(item)));
        self.tests += tests;
        match item {
            Item::Mod(module) if module.content.is_none() && self.tests > 0 => {
                let path = self.inner(&module.ident.to_string()).split_off(1);
                self.source.test_modules.push(path);
            }
            Item::ExternCrate(import) if import.ident == "self" || import.ident == "thermostat" => {
                self.source
                    .hidden
                    .push((import.span().start().line, "gives the crate another name"));
            }
            _ => {}
        }
        visit::visit_item(self, item);
        self.tests -= tests;
    }

    fn visit_impl_item(&mut self, item: &'ast ImplItem) {
        let tests = match item {
            ImplItem::Fn(function) => usize::from(is_for_tests(&function.attrs)),
            _ => 0,
        };
        self.tests += tests;
        visit::visit_impl_item(self, item);
        self.tests -= tests;
    }

    fn visit_item_mod(&mut self, module: &'ast syn::ItemMod) {
        self.modules.push(module.ident.to_string());
        visit::visit_item_mod(self, module);
        self.modules.pop();
    }

    fn visit_item_use(&mut self, import: &'ast syn::ItemUse) {
        for (path, _) in flatten(&import.tree) {
            self.see(path, import.span().start().line);
        }
        visit::visit_visibility(self, &import.vis);
        import.attrs.iter().for_each(|attribute| self.visit_attribute(attribute));
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        self.see(segments(path), path.span().start().line);
        visit::visit_path(self, path);
    }

    fn visit_expr_path(&mut self, expression: &'ast syn::ExprPath) {
        if let Some(of) = &expression.qself
            && let syn::Type::Path(kind) = &*of.ty
        {
            let whole = segments(&kind.path).into_iter().chain(segments(&expression.path)).collect();
            self.see(whole, expression.span().start().line);
        }
        visit::visit_expr_path(self, expression);
    }

    fn visit_macro(&mut self, call: &'ast syn::Macro) {
        if call.path.segments.last().is_some_and(|segment| segment.ident == "include") {
            self.source.hidden.push((call.span().start().line, "takes a file from elsewhere"));
        }
        self.see_tokens(call.tokens.clone());
        visit::visit_macro(self, call);
    }

    fn visit_attribute(&mut self, attribute: &'ast Attribute) {
        let (path, line) = (attribute.path(), attribute.span().start().line);
        if path.is_ident("doc") {
            return;
        }
        if path.is_ident("path") {
            self.source.hidden.push((line, "takes a file from elsewhere"));
        }
        match &attribute.meta {
            Meta::List(list) => {
                let conditional = path.is_ident("cfg_attr") && list.tokens.clone().into_iter().any(|token| token.to_string() == "allow");
                if path.is_ident("allow") || conditional {
                    self.source.allows.push(line);
                }
                self.see_tokens(list.tokens.clone());
            }
            Meta::NameValue(pair) => self.visit_expr(&pair.value),
            Meta::Path(_) => {}
        }
        // The attribute's own path: a tool's name or a macro's, of which only the latter can be of a crate.
        self.see(segments(path), line);
    }

    fn visit_signature(&mut self, signature: &'ast syn::Signature) {
        if let Some(word) = signature.asyncness {
            self.see_async(word.span.start().line);
        }
        visit::visit_signature(self, signature);
    }

    fn visit_expr_async(&mut self, expression: &'ast syn::ExprAsync) {
        self.see_async(expression.async_token.span.start().line);
        visit::visit_expr_async(self, expression);
    }

    fn visit_expr_closure(&mut self, expression: &'ast syn::ExprClosure) {
        if let Some(word) = expression.asyncness {
            self.see_async(word.span.start().line);
        }
        visit::visit_expr_closure(self, expression);
    }

    fn visit_expr_await(&mut self, expression: &'ast syn::ExprAwait) {
        self.see_async(expression.await_token.span.start().line);
        visit::visit_expr_await(self, expression);
    }
}

fn segments(path: &syn::Path) -> Vec<String> {
    path.segments.iter().map(|segment| segment.ident.to_string()).collect()
}

/// Every path of an import, with the name under which it is known from then on.
fn flatten(tree: &UseTree) -> Vec<(Vec<String>, String)> {
    match tree {
        UseTree::Path(path) => {
            let first = path.ident.to_string();
            let within = |(mut path, name): (Vec<String>, String)| {
                // `a::{self}` is `a`.
                if path == ["self"] {
                    path.clear();
                }
                path.insert(0, first.clone());
                (path, if name == "self" { first.clone() } else { name })
            };
            flatten(&path.tree).into_iter().map(within).collect()
        }
        UseTree::Name(name) => vec![(vec![name.ident.to_string()], name.ident.to_string())],
        UseTree::Rename(renamed) => vec![(vec![renamed.ident.to_string()], renamed.rename.to_string())],
        UseTree::Glob(_) => vec![(vec!["*".to_owned()], "*".to_owned())],
        UseTree::Group(group) => group.items.iter().flat_map(flatten).collect(),
    }
}

fn attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        Item::ExternCrate(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Macro(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        Item::Static(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Trait(item) => &item.attrs,
        Item::Type(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => &[],
    }
}
