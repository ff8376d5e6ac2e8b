//! Secrets: named in the configuration, read when needed, never printed.
//!
//! The configuration holds a [`SecretSource`], which says where a secret is; only reading it gives
//! a [`Secret`]. So a configuration can be printed, compared and checked without any key, and a
//! rotated key is picked up by the next read. A secret has no `Display` and a redacted `Debug`,
//! and none of the errors here repeats a value or the arguments of a command.

use std::fmt;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

/// Longest secret in bytes: room for a service account's token, not for a wrong file.
const SECRET_BYTES_MAX: u64 = 16 * 1024;

/// How long a command may take: it may ask a vault over the network.
const COMMAND_TIMEOUT: Duration = Duration::from_secs(10);

/// How often a command is looked at.
const COMMAND_POLL: Duration = Duration::from_millis(20);

/// Where a secret is.
#[derive(Clone, PartialEq, Eq)]
pub enum SecretSource {
    /// An environment variable of this name.
    Env(String),
    /// A file that holds nothing else.
    File(PathBuf),
    /// A program and its arguments, run without a shell, that prints it.
    Command(Vec<String>),
}

/// A secret. Its debug output is redacted and it has no other.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

/// Why a secret cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// No such variable.
    #[error("environment variable {0} is not set, export it or name another source")]
    Unset(String),
    /// The file cannot be opened or read.
    #[error("secret file {} cannot be read, check path and permissions", .path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The command cannot be started or read from.
    #[error("secret command {program:?} cannot be run, check the path")]
    Run {
        /// The program, without its arguments.
        program: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The command ended with another code than 0.
    #[error("secret command {program:?} failed ({status}), run it by hand to see why")]
    Failed {
        /// The program, without its arguments.
        program: String,
        /// How it ended.
        status: ExitStatus,
    },
    /// The command did not end in time.
    #[error("secret command {program:?} did not end within 10 s and was stopped")]
    TimedOut {
        /// The program, without its arguments.
        program: String,
    },
    /// There, but nothing in it.
    #[error("{0} holds an empty secret, put the secret there")]
    Empty(String),
    /// Too long to be one.
    #[error("{0} holds more than 16 KiB, which is no secret: is it the right one?")]
    TooLong(String),
    /// Not UTF-8.
    #[error("{0} does not hold text (UTF-8)")]
    NotText(String),
}

impl Secret {
    /// Wraps a secret that is already at hand.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The secret itself. Every call is a place to look at when auditing.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(redacted)")
    }
}

impl SecretSource {
    /// Reads the secret, without one trailing line break. Blocks: up to 10 s for a command.
    ///
    /// # Errors
    /// [`SecretError`], which names the source and never the content.
    pub fn read(&self) -> Result<Secret, SecretError> {
        let bytes = match self {
            Self::Env(name) => {
                let value = std::env::var_os(name).ok_or(SecretError::Unset(name.clone()))?;
                value.into_encoded_bytes()
            }
            Self::File(path) => read_file(path)
                .map_err(|source| SecretError::File { path: path.clone(), source })?,
            Self::Command(argv) => run(argv)?,
        };
        if bytes.len() as u64 > SECRET_BYTES_MAX {
            return Err(SecretError::TooLong(self.name()));
        }
        let text = String::from_utf8(bytes).map_err(|_| SecretError::NotText(self.name()))?;
        let line = text.strip_suffix('\n').unwrap_or(&text);
        let line = line.strip_suffix('\r').unwrap_or(line);
        if line.trim().is_empty() {
            return Err(SecretError::Empty(self.name()));
        }
        Ok(Secret(line.to_owned()))
    }

    /// What to call the source in a message.
    fn name(&self) -> String {
        match self {
            Self::Env(name) => format!("environment variable {name}"),
            Self::File(path) => format!("secret file {}", path.display()),
            Self::Command(argv) => format!("secret command {:?}", program(argv)),
        }
    }
}

/// Arguments of a command are left out: people put tokens there.
impl fmt::Debug for SecretSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Env(name) => f.debug_tuple("Env").field(name).finish(),
            Self::File(path) => f.debug_tuple("File").field(path).finish(),
            Self::Command(argv) => write!(f, "Command({:?}, …)", program(argv)),
        }
    }
}

fn program(argv: &[String]) -> &str {
    argv.first().map_or("", String::as_str)
}

/// At most one byte more than allowed, which tells that there is more.
fn read_file(path: &Path) -> io::Result<Vec<u8>> {
    read_bounded(std::fs::File::open(path)?)
}

fn read_bounded(from: impl Read) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    from.take(SECRET_BYTES_MAX + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Runs a command and gives what it prints.
fn run(argv: &[String]) -> Result<Vec<u8>, SecretError> {
    let program = program(argv).to_owned();
    let failed = |source| SecretError::Run { program: program.clone(), source };
    let mut child = Command::new(&program)
        .args(argv.iter().skip(1))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        // Its complaints may repeat its arguments.
        .stderr(Stdio::null())
        .spawn()
        .map_err(failed)?;
    let stdout = child.stdout.take().expect("stdout was asked to be piped a few lines above");
    // A thread of its own, so that a command that prints nothing and stays can be given up. It
    // ends with the pipe.
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || sender.send(read_bounded(stdout)));
    let Some(status) = wait(&mut child).map_err(failed)? else {
        return Err(SecretError::TimedOut { program });
    };
    // A grandchild may hold the pipe open after the command itself has ended.
    let Ok(bytes) = receiver.recv_timeout(COMMAND_TIMEOUT) else {
        return Err(SecretError::TimedOut { program });
    };
    // Too much is reported as such by the caller, although it also broke the command's pipe.
    let bytes = bytes.map_err(failed)?;
    if !status.success() && bytes.len() as u64 <= SECRET_BYTES_MAX {
        return Err(SecretError::Failed { program, status });
    }
    Ok(bytes)
}

/// Waits for the end of a command; stops it and gives `None` when it takes too long.
fn wait(child: &mut Child) -> io::Result<Option<ExitStatus>> {
    let polls = COMMAND_TIMEOUT.as_millis() / COMMAND_POLL.as_millis();
    for _ in 0..polls {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        thread::sleep(COMMAND_POLL);
    }
    child.kill()?;
    child.wait()?;
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn command(argv: &[&str]) -> SecretSource {
        SecretSource::Command(argv.iter().map(|arg| (*arg).to_owned()).collect())
    }

    #[test]
    fn a_variable_is_read_from_the_environment() {
        // Set by cargo for every test, so that none has to change the environment.
        let secret = SecretSource::Env("CARGO_MANIFEST_DIR".to_owned()).read().unwrap();
        assert_eq!(secret.expose(), env!("CARGO_MANIFEST_DIR"));
    }

    #[test]
    fn a_command_is_run_without_a_shell() {
        let secret = command(&["printf", "%s\\n", "$HOME"]).read().unwrap();
        assert_eq!(secret.expose(), "$HOME");
    }

    #[test]
    fn one_trailing_line_break_is_trimmed_and_no_more() {
        for (printed, expected) in
            [("k\\n", "k"), ("k\\r\\n", "k"), ("k", "k"), ("k\\n\\n", "k\n"), (" k ", " k ")]
        {
            assert_eq!(command(&["printf", printed]).read().unwrap().expose(), expected);
        }
    }

    #[test]
    fn what_is_no_secret_is_refused_and_never_repeated() {
        let unset = SecretSource::Env("BROWNOUT_TEST_NEVER_SET".to_owned());
        let missing = SecretSource::File("no/such/file".into());
        for (source, expected) in [
            (unset, "environment variable BROWNOUT_TEST_NEVER_SET is not set"),
            (missing, "secret file no/such/file cannot be read"),
            (command(&["true", "hunter2"]), "secret command \"true\" holds an empty secret"),
            (command(&["false", "hunter2"]), "secret command \"false\" failed (exit status: 1)"),
            (command(&["no-such-program", "hunter2"]), "secret command \"no-such-program\" cannot"),
            (command(&["printf", "\\377hunter2"]), "does not hold text"),
            (command(&["head", "-c", "20000", "/dev/zero"]), "holds more than 16 KiB"),
        ] {
            let error = source.read().unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
            assert!(!error.contains("hunter2"), "{error}");
            assert!(!format!("{source:?}").contains("hunter2"), "{source:?}");
        }
    }

    #[test]
    fn the_debug_output_of_a_secret_is_redacted() {
        assert_eq!(format!("{:?}", Secret::new("hunter2")), "Secret(redacted)");
    }
}
