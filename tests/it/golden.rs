//! Committed texts that users depend on: what changes them is reviewed, not guessed.

use std::fs;
use std::path::Path;

/// Compares with the committed file, a path from the repository's root. With `UPDATE_GOLDEN=1` in
/// the environment it is written first.
pub(crate) fn check(path: &str, actual: &str) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(&file, actual).unwrap();
    }
    let expected = fs::read_to_string(&file).unwrap_or_default();
    let differing =
        expected.lines().zip(actual.lines()).find(|(expected, actual)| expected != actual);
    assert!(
        expected == actual,
        "{path} differs, first at {differing:?}; if that is meant, run with UPDATE_GOLDEN=1"
    );
}
