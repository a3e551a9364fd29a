//! Which file uses what of which other file, as the sources say: `use` and paths, with re-exports looked through to
//! the file that defines the name. What is compiled for tests only does not count.

use std::collections::{BTreeMap, BTreeSet};
use syn::visit::{self, Visit};

/// For each file the files that it uses, each with the names for which it does.
pub type Graph = BTreeMap<String, BTreeMap<String, BTreeSet<String>>>;

/// What a name in a module stands for.
#[derive(Clone, Debug)]
enum Meaning {
    /// It is defined there.
    Item,
    /// It is imported, or exported anew, from this path.
    Import(Vec<String>),
}

/// One module: a file, or a part of one.
#[derive(Debug, Default)]
struct Module {
    file: String,
    names: BTreeMap<String, Meaning>,
    globs: Vec<Vec<String>>,
}

/// The modules of a crate by their paths; the root has the empty one.
type Modules = BTreeMap<Vec<String>, Module>;

/// Reads the files of a crate, given as their names below `src/` with their text.
pub fn graph(sources: &[(String, String)]) -> Graph {
    let parsed: Vec<(&str, Vec<String>, syn::File)> = sources
        .iter()
        .map(|(name, text)| {
            let file = syn::parse_file(text).unwrap_or_else(|error| panic!("src/{name}: {error}"));
            (name.as_str(), module_path(name), file)
        })
        .collect();
    let mut modules = Modules::new();
    let mut for_tests = BTreeSet::new();
    for (name, path, file) in &parsed {
        declare(&mut modules, &mut for_tests, name, path, &file.items);
    }
    let is_for_tests =
        |path: &[String]| (0..=path.len()).any(|end| for_tests.contains(&path[..end]));
    let mut graph = Graph::new();
    for (name, path, file) in &parsed {
        if is_for_tests(path) {
            continue;
        }
        let mut reader = Reader {
            modules: &modules,
            module: path.clone(),
            file: name,
            uses: BTreeMap::new(),
        };
        reader.items(&file.items);
        graph.insert((*name).to_owned(), reader.uses);
    }
    graph
}

/// `fanout/engine.rs` and `fanout/engine/mod.rs` are `fanout::engine`.
fn module_path(name: &str) -> Vec<String> {
    let name = name.trim_end_matches(".rs");
    let mut path: Vec<String> = name.split('/').map(str::to_owned).collect();
    if path
        .last()
        .is_some_and(|last| ["mod", "lib", "main"].contains(&last.as_str()))
    {
        path.pop();
    }
    path
}

fn is_for_tests(attributes: &[syn::Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        let is_test = attribute.path().is_ident("test");
        let cfg = attribute
            .path()
            .is_ident("cfg")
            .then(|| attribute.parse_args::<syn::Path>());
        is_test || cfg.is_some_and(|path| path.is_ok_and(|path| path.is_ident("test")))
    })
}

fn attributes(item: &syn::Item) -> &[syn::Attribute] {
    use syn::Item::*;
    match item {
        Const(it) => &it.attrs,
        Enum(it) => &it.attrs,
        Fn(it) => &it.attrs,
        Impl(it) => &it.attrs,
        Macro(it) => &it.attrs,
        Mod(it) => &it.attrs,
        Static(it) => &it.attrs,
        Struct(it) => &it.attrs,
        Trait(it) => &it.attrs,
        Type(it) => &it.attrs,
        Union(it) => &it.attrs,
        Use(it) => &it.attrs,
        _ => &[],
    }
}

/// The name that an item has in its module.
fn defined(item: &syn::Item) -> Option<&syn::Ident> {
    use syn::Item::*;
    match item {
        Const(it) => Some(&it.ident),
        Enum(it) => Some(&it.ident),
        Fn(it) => Some(&it.sig.ident),
        Macro(it) => it.ident.as_ref(),
        Static(it) => Some(&it.ident),
        Struct(it) => Some(&it.ident),
        Trait(it) => Some(&it.ident),
        Type(it) => Some(&it.ident),
        Union(it) => Some(&it.ident),
        _ => None,
    }
}

/// Notes what a module defines and imports, and its inline modules.
fn declare(
    modules: &mut Modules,
    for_tests: &mut BTreeSet<Vec<String>>,
    file: &str,
    path: &[String],
    items: &[syn::Item],
) {
    let mut module = Module {
        file: file.to_owned(),
        ..Module::default()
    };
    for item in items {
        if let syn::Item::Mod(inner) = item {
            let mut inner_path = path.to_vec();
            inner_path.push(inner.ident.to_string());
            if is_for_tests(&inner.attrs) {
                for_tests.insert(inner_path);
            } else if let Some((_, items)) = &inner.content {
                declare(modules, for_tests, file, &inner_path, items);
            }
            continue;
        }
        if is_for_tests(attributes(item)) {
            continue;
        }
        if let Some(name) = defined(item) {
            module.names.insert(name.to_string(), Meaning::Item);
        }
        if let syn::Item::Use(import) = item {
            each_import(
                &import.tree,
                &mut Vec::new(),
                &mut |name, path| match name {
                    Some(name) => {
                        module
                            .names
                            .insert(name.to_owned(), Meaning::Import(path.to_vec()));
                    }
                    None => module.globs.push(path.to_vec()),
                },
            );
        }
        if let syn::Item::Macro(makes) = item {
            // A macro of ours that makes types: their names stand behind `struct` and `enum`.
            let words = words(makes.mac.tokens.clone());
            for pair in words.windows(2) {
                if let [keyword, name] = pair
                    && ["struct", "enum", "fn", "const"].contains(&keyword.as_str())
                {
                    module.names.entry(name.clone()).or_insert(Meaning::Item);
                }
            }
        }
    }
    modules.insert(path.to_vec(), module);
}

/// Calls `note` with each name that a `use` brings, and its path; without a name for a glob.
fn each_import(
    tree: &syn::UseTree,
    path: &mut Vec<String>,
    note: &mut impl FnMut(Option<&str>, &[String]),
) {
    match tree {
        syn::UseTree::Path(step) => {
            path.push(step.ident.to_string());
            each_import(&step.tree, path, note);
            path.pop();
        }
        syn::UseTree::Name(leaf) if leaf.ident == "self" => {
            let name = path.last().cloned().unwrap_or_default();
            note(Some(&name), path);
        }
        syn::UseTree::Name(leaf) => {
            path.push(leaf.ident.to_string());
            note(Some(&leaf.ident.to_string()), path);
            path.pop();
        }
        syn::UseTree::Rename(leaf) => {
            if leaf.ident != "self" {
                path.push(leaf.ident.to_string());
            }
            note(Some(&leaf.rename.to_string()), path);
            if leaf.ident != "self" {
                path.pop();
            }
        }
        syn::UseTree::Glob(_) => note(None, path),
        syn::UseTree::Group(group) => {
            for tree in &group.items {
                each_import(tree, path, note);
            }
        }
    }
}

/// The words of a macro's tokens, `::` among them.
fn words(tokens: proc_macro2::TokenStream) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    let mut colons = 0;
    for token in tokens {
        match token {
            proc_macro2::TokenTree::Punct(mark) if mark.as_char() == ':' => {
                colons += 1;
                if colons == 2 {
                    found.push("::".to_owned());
                }
                continue;
            }
            proc_macro2::TokenTree::Ident(word) => found.push(word.to_string()),
            proc_macro2::TokenTree::Group(group) => {
                found.push(String::new());
                found.extend(words(group.stream()));
                found.push(String::new());
            }
            _ => found.push(String::new()),
        }
        colons = 0;
    }
    found
}

/// The paths in a macro's tokens.
fn paths(words: &[String]) -> Vec<Vec<String>> {
    let mut found: Vec<Vec<String>> = Vec::new();
    let mut goes_on = false;
    for word in words {
        match (word.as_str(), goes_on, found.last_mut()) {
            ("::", _, _) => goes_on = true,
            ("", _, _) => goes_on = false,
            (name, true, Some(path)) => {
                path.push(name.to_owned());
                goes_on = false;
            }
            (name, _, _) => {
                found.push(vec![name.to_owned()]);
                goes_on = false;
            }
        }
    }
    found
}

/// An item: the module that defines it, and its name there.
type Item = (Vec<String>, String);

/// The item to which a path leads that stands in a module; `None` for a module, and for what is not of this crate.
fn resolve(modules: &Modules, from: &[String], path: &[String], depth: usize) -> Option<Item> {
    let (first, mut rest) = path.split_first()?;
    // Two modules may export each other's names anew.
    if depth > 20 {
        return None;
    }
    let mut module: Vec<String> = match first.as_str() {
        "crate" | "cimf" => Vec::new(),
        "self" => from.to_vec(),
        "super" => from[..from.len().checked_sub(1)?].to_vec(),
        _ => {
            rest = path;
            from.to_vec()
        }
    };
    while let Some((step, left)) = rest.split_first() {
        if step == "super" {
            module.pop()?;
            rest = left;
            continue;
        }
        let mut child = module.clone();
        child.push(step.clone());
        if modules.contains_key(&child) {
            module = child;
            rest = left;
            continue;
        }
        let here = modules.get(&module)?;
        return match here.names.get(step) {
            Some(Meaning::Item) => Some((module, step.clone())),
            Some(Meaning::Import(import)) => {
                let whole: Vec<String> = import.iter().chain(left).cloned().collect();
                resolve(modules, &module, &whole, depth + 1)
            }
            None => here.globs.iter().find_map(|glob| {
                let whole: Vec<String> = glob.iter().chain(rest).cloned().collect();
                resolve(modules, &module, &whole, depth + 1)
            }),
        };
    }
    None
}

/// Reads what one file uses.
struct Reader<'a> {
    modules: &'a Modules,
    module: Vec<String>,
    file: &'a str,
    uses: BTreeMap<String, BTreeSet<String>>,
}

impl Reader<'_> {
    fn items(&mut self, items: &[syn::Item]) {
        for item in items {
            self.visit_item(item);
        }
    }

    fn note(&mut self, path: &[String]) {
        // A module that is imported counts by what is used of it.
        let Some((module, name)) = resolve(self.modules, &self.module, path, 0) else {
            return;
        };
        let file = &self.modules[&module].file;
        if file != self.file {
            self.uses.entry(file.clone()).or_default().insert(name);
        }
    }
}

impl<'ast> Visit<'ast> for Reader<'_> {
    fn visit_item(&mut self, item: &'ast syn::Item) {
        if is_for_tests(attributes(item)) {
            return;
        }
        if let syn::Item::Mod(inner) = item {
            if let Some((_, items)) = &inner.content {
                self.module.push(inner.ident.to_string());
                self.items(items);
                self.module.pop();
            }
            return;
        }
        visit::visit_item(self, item);
    }

    fn visit_impl_item_fn(&mut self, function: &'ast syn::ImplItemFn) {
        if !is_for_tests(&function.attrs) {
            visit::visit_impl_item_fn(self, function);
        }
    }

    fn visit_item_use(&mut self, import: &'ast syn::ItemUse) {
        // What is only exported anew is used by those who name it.
        if !matches!(import.vis, syn::Visibility::Inherited) {
            return;
        }
        let mut found = Vec::new();
        each_import(&import.tree, &mut Vec::new(), &mut |_, path| {
            found.push(path.to_vec())
        });
        for path in found {
            self.note(&path);
        }
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let names: Vec<String> = path
            .segments
            .iter()
            .map(|segment| segment.ident.to_string())
            .collect();
        self.note(&names);
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, call: &'ast syn::Macro) {
        visit::visit_macro(self, call);
        for path in paths(&words(call.tokens.clone())) {
            self.note(&path);
        }
    }
}
