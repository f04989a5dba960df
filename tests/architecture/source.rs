//! Reads Rust source and tells which paths it names, wherever they stand: in imports, types, expressions, macros and
//! attributes; each as it is written, and as it is once imports, `self`, `super` and re-exports are looked through.

use std::collections::{BTreeMap, BTreeSet};

use super::reader;

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
    pub test_modules: Vec<Vec<String>>,
}

/// What a name stands for, by the path of its module and itself; it may be imported differently under different conditions.
pub type Names = BTreeMap<(Vec<String>, String), BTreeSet<Vec<String>>>;

/// All files, and what each module's names stand for.
#[derive(Debug, Default)]
pub struct Crate {
    sources: Vec<Source>,
    names: Names,
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
        let mut source = Source::empty(name, place(name));
        reader::read(file, &mut source, &mut self.names);
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
