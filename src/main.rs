//! The binary: arguments to app, exit code out.

fn main() -> std::process::ExitCode {
    brownout::cli::run()
}
