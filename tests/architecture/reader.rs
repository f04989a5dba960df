//! Walks the syntax of one file and notes what it names.

use proc_macro2::{Delimiter, TokenStream, TokenTree};
use syn::{
    Attribute, ImplItem, Item, Lit, Meta, UseTree,
    spanned::Spanned,
    visit::{self, Visit},
};

use super::source::{Names, Sighting, Source};

/// Notes in `source` what the file names, and in `names` what its modules' names stand for.
pub fn read(file: &syn::File, source: &mut Source, names: &mut Names) {
    let tests = usize::from(is_for_tests(&file.attrs));
    let mut reader = Reader {
        modules: source.place.clone(),
        tests,
        names,
        source,
    };
    Declarations(&mut reader).visit_file(file);
    reader.visit_file(file);
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
    /// The module being read, with those that stand inside the file.
    modules: Vec<String>,
    /// How many enclosing items exist only in tests.
    tests: usize,
    names: &'a mut Names,
    source: &'a mut Source,
}

impl Reader<'_> {
    fn name(&mut self, name: String, target: Vec<String>) {
        let itself = target.len() == 1 && target.first() == Some(&name);
        if name != "_" && name != "*" && !itself {
            self.names.entry((self.modules.clone(), name)).or_default().insert(target);
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
        if path.first().is_some_and(|first| first != "crate" && first != "Self") && self.source.module != "main" {
            let local: Vec<_> = self
                .inner("")
                .into_iter()
                .filter(|part| !part.is_empty())
                .chain(path.iter().cloned())
                .collect();
            let known = self.names.contains_key(&(self.modules.clone(), path[0].clone()));
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

    /// Paths and words in tokens that nobody has parsed; in an attribute also paths that are given as text.
    fn see_tokens(&mut self, tokens: TokenStream, in_attribute: bool) {
        let tokens: Vec<_> = tokens.into_iter().collect();
        let mut path: Vec<String> = Vec::new();
        for (index, token) in tokens.iter().enumerate() {
            let line = token.span().start().line;
            match token {
                TokenTree::Group(group) => {
                    self.see_tokens(group.stream(), in_attribute);
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
                TokenTree::Literal(literal) if in_attribute => self.see_literal(&literal.to_string(), line),
                TokenTree::Literal(_) | TokenTree::Punct(_) => {}
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
struct Declarations<'a, 'b>(&'a mut Reader<'b>);

impl<'ast> Visit<'ast> for Declarations<'_, '_> {
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

    /// `pub(crate)` names no module.
    fn visit_vis_restricted(&mut self, visibility: &'ast syn::VisRestricted) {
        if visibility.path.segments.len() > 1 {
            visit::visit_vis_restricted(self, visibility);
        }
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
        self.see_tokens(call.tokens.clone(), false);
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
                self.see_tokens(list.tokens.clone(), true);
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
