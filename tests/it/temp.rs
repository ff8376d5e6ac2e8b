//! Files and folders that tests hand to the program.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

/// A file that goes away with the test, whether it passes or fails.
pub(crate) struct TempFile(PathBuf);

impl TempFile {
    /// A new file whose name ends in `name`.
    pub(crate) fn new(name: &str, content: &str) -> Self {
        let path = fresh(name);
        std::fs::write(&path, content).unwrap();
        Self(path)
    }

    /// Its path, to be read.
    pub(crate) fn path(&self) -> &str {
        self.0.to_str().unwrap()
    }
}

impl AsRef<Path> for TempFile {
    fn as_ref(&self) -> &Path {
        &self.0
    }
}

impl Drop for TempFile {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// A folder that goes away with the test and with all that is in it.
pub(crate) struct TempFolder(PathBuf);

impl TempFolder {
    /// A new, empty folder whose name ends in `name`.
    pub(crate) fn new(name: &str) -> Self {
        let path = fresh(name);
        std::fs::create_dir(&path).unwrap();
        Self(path)
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for TempFolder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A path that nothing has yet.
fn fresh(name: &str) -> PathBuf {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    std::env::temp_dir().join(format!("brownout-{}-{number}-{name}", std::process::id()))
}
