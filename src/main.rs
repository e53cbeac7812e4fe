//! The program: parse the command line, run it, turn the outcome into an exit status.

mod cli;

fn main() -> std::process::ExitCode {
    cli::main()
}
