//! `which`: who provides a path or a module, and who is shadowed.

pub(crate) mod args;
mod module;

use std::fmt::Write as _;
use std::os::unix::ffi::OsStrExt as _;
use std::process::ExitCode;

use serde_json::{Map, Value};

use slashopt::collisions::{Collision, SameBytes};
use slashopt::entry::Kind;
use slashopt::host::error::HostError;
use slashopt::host::read::entry::Reader;
use slashopt::host::read::stack::LoadedStack;
use slashopt::host::system::budget::Budget;
use slashopt::layer::LayerId;
use slashopt::merge::{MergedTree, Origin};
use slashopt::path::{Escaped, LayerPath};

use crate::cli::layers::load::classify;
use crate::cli::output::failure::{Exit, Failure, Outcome};
use crate::cli::output::global::GlobalArgs;
use crate::cli::output::json as shape;
use crate::cli::output::report::Report;
use args::WhichArgs;

pub(crate) fn run(arguments: &WhichArgs, global: &GlobalArgs, report: &Report) -> Outcome {
    global.only_text_or_json()?;
    if let Some(name) = &arguments.module {
        return module::run(name, arguments, global, report);
    }
    let typed = arguments.path.as_deref().unwrap_or_default().as_bytes();
    let path = LayerPath::parse(typed).map_err(|error| {
        Failure::usage(format!("`{}`: {error}", Escaped(typed))).hint("give a path below /opt")
    })?;
    let pool = arguments.stack.pool()?;
    let budget = Budget::default();
    let loaded = arguments.stack.load(
        &arguments.layers.resolve(&arguments.stack)?,
        &pool,
        &budget,
        report,
    )?;
    if let Some(number) = arguments.cat {
        return cat(&loaded, &budget, &path, number, report);
    }
    let tree = MergedTree::merge(
        &loaded.stack,
        arguments.stack.on_type_conflict().linked_directory(),
    );
    let collisions = classify(&loaded, &tree, SameBytes::ByChecksum, &pool, &budget)?;
    // What a program finds there may lie behind a link.
    let node = tree.find(&path).or_else(|| tree.resolve(&path));
    let place = node.map_or_else(|| path.clone(), |node| tree.path(node));
    let collision = collisions
        .all
        .iter()
        .find(|collision| collision.path == place);
    let answer = Answer {
        loaded: &loaded,
        tree: &tree,
        asked: &path,
        place: &place,
        winner: node.map(|node| tree.provider(node)),
        collision,
    };
    if global.is_json() {
        report.json(&answer.to_json())?;
    } else if answer.winner.is_some() || collision.is_some() {
        report.result(answer.to_text().as_bytes())?;
    } else {
        report.note(&format!("no layer provides `{path}`"));
    }
    Ok(if answer.winner.is_some() {
        ExitCode::SUCCESS
    } else {
        Exit::Findings.into()
    })
}

/// Writes a layer's own version of a file to standard output.
fn cat(
    loaded: &LoadedStack,
    budget: &Budget,
    path: &LayerPath,
    number: u16,
    report: &Report,
) -> Outcome {
    let id = LayerId(number - 1);
    let layer = loaded.stack.get(id).ok_or_else(|| {
        Failure::usage(format!(
            "there is no layer {number}: {} are named",
            loaded.stack.len()
        ))
    })?;
    let Some(node) = layer.find(path) else {
        report.note(&format!("{} does not have `{path}`", loaded.label(id)));
        return Ok(Exit::Findings.into());
    };
    match layer.kind(node) {
        Kind::File => {}
        Kind::Symlink => {
            report.result(layer.target(node).unwrap_or_default())?;
            return Ok(ExitCode::SUCCESS);
        }
        Kind::Directory => {
            return Err(Failure::usage(format!(
                "{}: `{path}` is a directory",
                loaded.label(id)
            )));
        }
    }
    let mut failure = None;
    let read = Reader::new(budget).read(loaded, Origin { layer: id, node }, |bytes| {
        report.result(bytes).map_err(|error| {
            failure = Some(error);
            HostError::io(
                "write it",
                "standard output",
                std::io::Error::other("closed"),
            )
        })
    });
    match (read, failure) {
        (_, Some(failure)) => Err(failure),
        (Err(error), None) => Err(Failure::host(error)),
        (Ok(()), None) => Ok(ExitCode::SUCCESS),
    }
}

struct Answer<'a> {
    loaded: &'a LoadedStack,
    tree: &'a MergedTree<'a>,
    asked: &'a LayerPath,
    /// Where the path leads.
    place: &'a LayerPath,
    winner: Option<Origin>,
    collision: Option<&'a Collision>,
}

impl Answer<'_> {
    fn shadowed(&self) -> &[Origin] {
        self.collision.map_or(&[], |collision| &collision.shadowed)
    }

    fn to_text(&self) -> String {
        let mut text = String::new();
        // Writing to a string does not fail.
        if self.place != self.asked {
            let _ = writeln!(text, "{} leads to {}", self.asked, self.place);
        }
        match (self.winner, self.collision) {
            (Some(winner), _) => {
                let _ = writeln!(text, "{}: {}", self.place, self.describe(winner));
            }
            (None, Some(collision)) => {
                let layer = self.loaded.stack.layer(collision.winner.layer);
                let winner = layer.path(collision.winner.node);
                let _ = writeln!(
                    text,
                    "{}: nothing: `{}` took its place: {}",
                    self.place,
                    winner,
                    self.describe(collision.winner)
                );
            }
            (None, None) => {}
        }
        for &loser in self.shadowed() {
            let _ = writeln!(text, "  shadows {}", self.describe(loser));
        }
        if let Some(collision) = self.collision {
            let _ = writeln!(text, "  class: {}", collision.class);
        }
        text
    }

    fn describe(&self, origin: Origin) -> String {
        let object = self.tree.object_of(origin);
        let what = match object.kind {
            Kind::Directory => format!("directory, mode {}", object.mode),
            Kind::File => format!(
                "file, mode {}, {} bytes, modified {}",
                object.mode, object.size, object.modified
            ),
            Kind::Symlink => format!(
                "link to {}",
                Escaped(self.tree.target_of(origin).unwrap_or_default())
            ),
        };
        format!("{}: {what}", self.loaded.label(origin.layer))
    }

    fn to_json(&self) -> Value {
        let mut answer = shape::with_path(self.place);
        answer.insert("schema_version".to_owned(), shape::SCHEMA_VERSION.into());
        let winner = self
            .winner
            .or(self.collision.map(|collision| collision.winner));
        answer.insert(
            "winner".to_owned(),
            winner.map_or(Value::Null, |winner| self.object(winner)),
        );
        answer.insert(
            "shadowed".to_owned(),
            self.shadowed()
                .iter()
                .map(|&loser| self.object(loser))
                .collect(),
        );
        Value::Object(answer)
    }

    fn object(&self, origin: Origin) -> Value {
        let mut object = Map::new();
        object.insert("layer".to_owned(), origin.layer.number().into());
        shape::put_object(
            &mut object,
            &self.tree.object_of(origin),
            self.tree.target_of(origin),
        );
        Value::Object(object)
    }
}
