//! `tidegate file …`: what decK does to state files alone.

use super::gateway::format;
use super::{Outcome, Surroundings};
use anyhow::Result;
use clap::{Args, Subcommand};
use std::collections::BTreeMap;
use std::fs;
use tidegate_deck::{Error, Format, TagChange, Variables};

#[derive(Debug, Args)]
pub(super) struct FileArguments {
    #[command(subcommand)]
    command: FileCommand,
}

#[derive(Debug, Subcommand)]
enum FileCommand {
    /// Put several files together; variables stay
    Merge(RenderArguments),
    /// As merge; variables can be filled in
    Render {
        #[command(flatten)]
        render: RenderArguments,
        /// Fill in variables
        #[arg(long)]
        populate_env_vars: bool,
    },
    /// Check files as far as they can be checked without a gateway
    Validate {
        /// Files and folders; `-`, or nothing, is standard input
        #[arg(value_name = "FILE")]
        files: Vec<String>,
    },
    /// Add tags to all entities
    AddTags(TagArguments),
    /// Remove tags from all entities
    RemoveTags {
        #[command(flatten)]
        tags: TagArguments,
        /// Keep these tags and remove all others
        #[arg(long)]
        keep_only: bool,
        /// Keep lists that become empty
        #[arg(long)]
        keep_empty_array: bool,
    },
    /// Print the tags of all entities, one a line
    ListTags {
        /// File to read; `-` is standard input
        #[arg(short, long, value_name = "FILE", default_value = "-")]
        state: String,
    },
}

#[derive(Debug, Args)]
struct OutputArguments {
    /// File to write; `-` is standard output
    #[arg(short, long, value_name = "FILE", default_value = "-")]
    output_file: String,
    /// yaml or json
    #[arg(long, value_name = "FORMAT", default_value = "yaml")]
    format: String,
}

#[derive(Debug, Args)]
struct RenderArguments {
    /// Files and folders; `-`, or nothing, is standard input
    #[arg(value_name = "FILE")]
    files: Vec<String>,
    #[command(flatten)]
    output: OutputArguments,
}

#[derive(Debug, Args)]
struct TagArguments {
    /// The tags
    #[arg(value_name = "TAG", required = true)]
    tags: Vec<String>,
    /// File to read; `-` is standard input
    #[arg(short, long, value_name = "FILE", default_value = "-")]
    state: String,
    #[command(flatten)]
    output: OutputArguments,
}

/// Runs the command. Errors are printed as decK prints them.
pub(super) fn run(arguments: &FileArguments, surroundings: &mut Surroundings<'_>) -> Result<Outcome> {
    match carry_out(&arguments.command, surroundings) {
        Ok(()) => Ok(Outcome::Done),
        Err(error) if error.is_broken_pipe() => Ok(Outcome::Done),
        Err(error) => {
            writeln!(surroundings.stderr, "Error: {}", error.to_string().trim_end())?;
            Ok(Outcome::FoundFaults)
        }
    }
}

fn carry_out(command: &FileCommand, surroundings: &mut Surroundings<'_>) -> Result<(), Error> {
    let mut stdin = std::io::stdin().lock();
    let files = |named: &[String]| {
        if named.is_empty() {
            vec!["-".to_owned()]
        } else {
            named.to_vec()
        }
    };
    match command {
        FileCommand::Merge(merge) => {
            let as_json = merge.output.is_json()?;
            let text =
                tidegate_deck::render_files(&files(&merge.files), &mut stdin, Variables::Kept, as_json)?;
            merge.output.write(&text, surroundings)
        }
        FileCommand::Render {
            render,
            populate_env_vars,
        } => {
            let environment: BTreeMap<String, String> = surroundings.environment.iter().cloned().collect();
            let variables = if *populate_env_vars {
                Variables::Filled(&environment)
            } else {
                Variables::Kept
            };
            let as_json = render.output.is_json()?;
            let text = tidegate_deck::render_files(&files(&render.files), &mut stdin, variables, as_json)?;
            render.output.write(&text, surroundings)
        }
        FileCommand::Validate { files: named } => tidegate_deck::validate_files(&files(named), &mut stdin),
        FileCommand::AddTags(add) => add.change(&TagChange::Add(add.tags.clone()), &mut stdin, surroundings),
        FileCommand::RemoveTags {
            tags,
            keep_only,
            keep_empty_array,
        } => {
            let change = TagChange::Remove {
                tags: tags.tags.clone(),
                keeps_only: *keep_only,
                keeps_empty: *keep_empty_array,
            };
            tags.change(&change, &mut stdin, surroundings)
        }
        FileCommand::ListTags { state } => {
            for tag in tidegate_deck::tags_of_file(state, &mut stdin)? {
                writeln!(surroundings.stdout, "{tag}")?;
            }
            Ok(())
        }
    }
}

impl TagArguments {
    fn change(
        &self,
        change: &TagChange,
        stdin: &mut dyn std::io::Read,
        surroundings: &mut Surroundings<'_>,
    ) -> Result<(), Error> {
        let text = tidegate_deck::retag_file(&self.state, stdin, change, self.output.is_json()?)?;
        self.output.write(&text, surroundings)
    }
}

impl OutputArguments {
    fn is_json(&self) -> Result<bool, Error> {
        Ok(format(Some(&self.format))? == Format::Json)
    }

    fn write(&self, text: &str, surroundings: &mut Surroundings<'_>) -> Result<(), Error> {
        if self.output_file == "-" {
            return Ok(surroundings.stdout.write_all(text.as_bytes())?);
        }
        fs::write(&self.output_file, text)
            .map_err(|error| Error::Input(format!("cannot write {}: {error}", self.output_file)))
    }
}

#[cfg(test)]
mod tests {
    use crate::cli::tests::tidegate_with;

    #[test]
    fn files_are_put_together_checked_and_tagged() {
        let folder = tempfile::tempdir().expect("a folder");
        let (one, two) = (folder.path().join("1.yaml"), folder.path().join("2.yaml"));
        let head = "_format_version: \"3.0\"\n";
        let service = "services: [{name: s, host: '${{ env \"DECK_H\" }}'}]\n";
        std::fs::write(&one, format!("{head}{service}")).expect("a file");
        std::fs::write(
            &two,
            format!("{head}routes: [{{name: r, paths: [/r], service: s}}]\n"),
        )
        .expect("a file");
        let (one, two) = (one.display().to_string(), two.display().to_string());
        let environment = [("DECK_H", "filled.test")];
        let run = |arguments: &[&str]| {
            let line: Vec<&str> = std::iter::once("file").chain(arguments.iter().copied()).collect();
            let answer = tidegate_with(&environment, &line);
            assert_eq!((answer.code, answer.stderr.as_str()), (0, ""), "{arguments:?}");
            answer.stdout
        };
        assert!(run(&["merge", &one, &two]).contains("DECK_H"));
        let rendered = run(&["render", "--populate-env-vars", &one, &two]);
        assert!(
            rendered.contains("host: filled.test\n") && rendered.contains("name: r\n"),
            "{rendered}"
        );
        assert_eq!(run(&["validate", &one, &two]), "");
        run(&["add-tags", "-s", &one, "-o", &one, "a", "b"]);
        assert_eq!(run(&["list-tags", "-s", &one]), "a\nb\n");
        run(&["remove-tags", "-s", &one, "-o", &one, "a"]);
        assert_eq!(run(&["list-tags", "-s", &one]), "b\n");
        let dangling = tidegate_with(&[], &["file", "validate", &two]);
        let expected = "Error: building state: service s for route r: entity not found\n";
        assert_eq!((dangling.code, dangling.stderr.as_str()), (1, expected));
    }
}
