//! The table of floors in `docs/architecture.md`, held against what the code imports.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

const PAGE: &str = include_str!("../../docs/architecture.md");

/// The crates that are part of the language, and words that stand where a crate's name may stand.
const OWN: [&str; 6] = ["std", "core", "crate", "self", "super", "alloc"];

struct Floor {
    floors: BTreeSet<String>,
    crates: BTreeSet<String>,
}

fn words(cell: &str) -> BTreeSet<String> {
    cell.split('`').skip(1).step_by(2).map(|word| word.replace('-', "_")).collect()
}

fn table() -> BTreeMap<String, Floor> {
    let rows = PAGE.lines().skip_while(|line| !line.starts_with("| floor |")).skip(2);
    rows.take_while(|line| line.starts_with('|'))
        .map(|line| {
            let cells: Vec<&str> = line.trim_matches('|').split('|').collect();
            let name = words(cells[0]).pop_first().expect("a floor's name");
            (name, Floor { floors: words(cells[1]), crates: words(cells[2]) })
        })
        .collect()
}

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).expect("a source folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            files.extend(sources(&path));
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            files.push(path);
        }
    }
    files
}

/// The source without its tests: those may import more.
fn without_tests(path: &Path) -> String {
    let text = fs::read_to_string(path).expect("a source file");
    text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default().to_owned()
}

#[test]
fn no_floor_imports_one_that_the_table_does_not_give_it() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let table = table();
    assert!(table.len() >= 7, "the table was not found");
    let mut wrong = Vec::new();
    for (name, floor) in &table {
        for path in sources(&root.join(name)) {
            if path.file_stem().is_some_and(|stem| stem == "tests") {
                continue;
            }
            let text = without_tests(&path);
            for (at, _) in text.match_indices("crate::") {
                let other: String = text[at + 7..]
                    .chars()
                    .take_while(|c| c.is_alphanumeric() || *c == '_')
                    .collect();
                let known = table.contains_key(&other) && other != *name;
                if known && !floor.floors.contains(&other) && !floor.floors.is_empty() {
                    wrong.push(format!("{}: {other}", path.display()));
                }
                if known && floor.floors.is_empty() && name != "cli" {
                    wrong.push(format!("{}: {other}", path.display()));
                }
            }
            for line in text.lines().filter_map(|line| line.strip_prefix("use ")) {
                let used: String =
                    line.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
                let outside = !OWN.contains(&used.as_str())
                    && line[used.len()..].starts_with("::")
                    && !text.contains(&format!("mod {used};"));
                if outside && !floor.crates.contains(&used) {
                    wrong.push(format!("{}: crate {used}", path.display()));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "not in docs/architecture.md's table:\n{}", wrong.join("\n"));
}

#[test]
fn every_folder_of_the_source_is_a_floor() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let folders: BTreeSet<String> = fs::read_dir(root)
        .expect("the source")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.is_dir())
        .filter_map(|path| Some(path.file_name()?.to_str()?.to_owned()))
        .collect();
    let floors: BTreeSet<String> = table().into_keys().collect();
    assert_eq!(folders, floors);
}

#[test]
fn unsafe_code_stands_in_one_file_only() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let with: Vec<PathBuf> = sources(&root)
        .into_iter()
        .filter(|path| without_tests(path).contains("unsafe {"))
        .map(|path| path.strip_prefix(&root).expect("below the source").to_owned())
        .collect();
    assert_eq!(with, [Path::new("net/sys.rs")]);
}
