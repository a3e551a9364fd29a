//! `cimfctl(8)`, a page for each of its commands, and completions of its command line.

use crate::command_line::CommandLine;
use clap::{Command, CommandFactory};
use clap_complete::{Shell, generate_to};
use clap_mangen::Man;
use std::fs::create_dir_all;
use std::io::Result;
use std::path::Path;

/// Where each shell looks for completions, below `/usr/share`.
const COMPLETIONS: [(Shell, &str); 3] = [
    (Shell::Bash, "bash-completion/completions"),
    (Shell::Zsh, "zsh/vendor-completions"),
    (Shell::Fish, "fish/vendor_completions.d"),
];

/// Writes all of them below a folder.
pub fn write(version: &str, folder: &Path) -> Result<()> {
    // clap takes only what lives as long as the program.
    let version: &'static str = version.to_owned().leak();
    let mut command = CommandLine::command()
        .version(version)
        .disable_help_subcommand(true);
    for (shell, below) in COMPLETIONS {
        let folder = folder.join(below);
        create_dir_all(&folder)?;
        generate_to(shell, &mut command, "cimfctl", &folder)?;
    }
    let pages = folder.join("man/man8");
    create_dir_all(&pages)?;
    // Gives each command the name of its page, and the options that all have.
    command.build();
    write_page(&command, &pages)
}

fn write_page(command: &Command, folder: &Path) -> Result<()> {
    let page = Man::new(command.clone()).section("8");
    page.manual("cimf").generate_to(folder)?;
    let commands = command.get_subcommands();
    commands
        .filter(|command| !command.is_hide_set())
        .try_for_each(|command| write_page(command, folder))
}
