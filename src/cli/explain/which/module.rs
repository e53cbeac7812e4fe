//! `which --module`: what a program gets that imports or requires a name, and what it would get without that.

use std::fmt::Write as _;
use std::process::ExitCode;

use serde_json::{Map, Value, json};

use slashopt::host::read::inspect::facts_of;
use slashopt::host::read::stack::LoadedStack;
use slashopt::host::system::budget::Budget;
use slashopt::merge::MergedTree;
use slashopt::modules::{self, Asker, Candidate, Resolution};
use slashopt::packages::{Package, Packages};

use super::args::WhichArgs;
use crate::cli::args::runtime::required_runtime;
use crate::cli::output::failure::{Exit, Failure, Outcome};
use crate::cli::output::global::GlobalArgs;
use crate::cli::output::json as shape;
use crate::cli::output::report::Report;

pub(crate) fn run(
    name: &str,
    arguments: &WhichArgs,
    global: &GlobalArgs,
    report: &Report,
) -> Outcome {
    let pool = arguments.stack.pool()?;
    let budget = Budget::default();
    let layers = arguments.layers_of_module().resolve(&arguments.stack)?;
    let loaded = arguments.stack.load(&layers, &pool, &budget, report)?;
    let tree = MergedTree::merge(
        &loaded.stack,
        arguments.stack.on_type_conflict().linked_directory(),
    );
    let asker = Asker {
        runtime: required_runtime(layers.runtime(arguments.runtime.asked(), report)?, &tree)?,
        architecture: layers.architecture(arguments.architecture.asked(), report),
    };
    let wanted = modules::wanted(&loaded.stack, asker);
    let facts = pool
        .install(|| facts_of(&loaded, &wanted, &budget))
        .map_err(Failure::host)?;
    let answer = Answer {
        name,
        asker,
        loaded: &loaded,
        tree: &tree,
        packages: &Packages::of(&tree, &facts, Some(asker.runtime)),
        resolution: &modules::resolve(&tree, &facts, asker, name),
    };
    if global.is_json() {
        report.json(&answer.to_json())?;
    } else if answer.resolution.candidates.is_empty() {
        report.note(&answer.nowhere());
    } else {
        report.result(answer.to_text().as_bytes())?;
    }
    Ok(if answer.resolution.is_found() {
        ExitCode::SUCCESS
    } else {
        Exit::Findings.into()
    })
}

struct Answer<'a> {
    name: &'a str,
    asker: Asker,
    loaded: &'a LoadedStack,
    tree: &'a MergedTree<'a>,
    packages: &'a Packages,
    resolution: &'a Resolution,
}

impl Answer<'_> {
    fn nowhere(&self) -> String {
        let (name, runtime) = (self.name, self.asker.runtime);
        let nowhere = format!("no layer provides `{name}` to {runtime}");
        match (&self.resolution.obstacle, self.unsearched()) {
            (Some(obstacle), _) => format!("{nowhere}: {obstacle}"),
            (None, Some(package)) => {
                let folder = &package.folder;
                let place = self.loaded.label(package.layer);
                format!("{nowhere}: {place} has it in `{folder}`, where {runtime} does not look")
            }
            (None, None) => nowhere,
        }
    }

    /// A package of the name that lies where the runtime does not look.
    fn unsearched(&self) -> Option<&Package> {
        let top = self.name.split('.').next().unwrap_or_default();
        let top = top.replace('_', "-").to_ascii_lowercase();
        let is_meant = |package: &&Package| {
            package.ecosystem == self.resolution.ecosystem
                && package.position.is_none()
                && !package.is_private
                && (package.name == self.name || package.name == top)
        };
        self.packages.all.iter().find(is_meant)
    }

    /// The package that a candidate is a part of.
    fn package(&self, candidate: &Candidate) -> Option<&Package> {
        let owns = |package: &&Package| {
            package.layer == candidate.origin.layer
                && package.files.binary_search(&candidate.origin.node).is_ok()
        };
        self.packages.all.iter().find(owns)
    }

    fn describe(&self, candidate: &Candidate) -> String {
        let place = self.loaded.label(candidate.origin.layer);
        let package = self.package(candidate).map_or_else(String::new, |package| {
            let version = package.version.as_deref().unwrap_or_default();
            let space = if version.is_empty() { "" } else { " " };
            format!(": {}{space}{version}", package.display_name)
        });
        format!("{}: {place}{package}", candidate.path)
    }

    fn to_text(&self) -> String {
        let mut text = String::new();
        let found = self.resolution.is_found();
        // Writing to a string does not fail.
        if !found {
            let _ = writeln!(text, "{}", self.nowhere());
        }
        for (index, candidate) in self.resolution.candidates.iter().enumerate() {
            let relation = match (candidate.resolves, candidate.is_visible) {
                (true, _) if index == 0 => "",
                (true, _) => "  and ",
                (false, false) => "  overridden ",
                (false, true) if found => "  before ",
                (false, true) => "  there is ",
            };
            let _ = writeln!(text, "{relation}{}", self.describe(candidate));
        }
        if let (true, Some(obstacle)) = (found, &self.resolution.obstacle) {
            let _ = writeln!(text, "  {obstacle}");
        }
        text
    }

    fn to_json(&self) -> Value {
        let mut candidates = self.resolution.candidates.iter().peekable();
        let winner = candidates.next_if(|candidate| candidate.resolves);
        let mut answer = winner.map_or_else(Map::new, |winner| shape::with_path(&winner.path));
        answer.entry("path").or_insert(Value::Null);
        let rest = json!({
            "schema_version": shape::SCHEMA_VERSION,
            "module": self.name,
            "runtime": self.asker.runtime.identifier,
            "ecosystem": self.resolution.ecosystem.to_string(),
            "winner": winner.map(|winner| self.candidate(winner)),
            "shadowed": candidates.map(|one| self.candidate(one)).collect::<Vec<_>>(),
            "obstacle": self.resolution.obstacle.as_ref().map(ToString::to_string),
        });
        if let Value::Object(rest) = rest {
            answer.extend(rest);
        }
        Value::Object(answer)
    }

    fn candidate(&self, candidate: &Candidate) -> Value {
        let package = self.package(candidate);
        let mut map = shape::with_path(&candidate.path);
        map.insert("layer".to_owned(), candidate.origin.layer.number().into());
        shape::put_bytes(&mut map, "folder", candidate.folder.as_bytes());
        map.insert(
            "package".to_owned(),
            package.map(|package| package.display_name.clone()).into(),
        );
        map.insert(
            "version".to_owned(),
            package.and_then(|package| package.version.clone()).into(),
        );
        map.insert("visible".to_owned(), candidate.is_visible.into());
        map.insert("resolves".to_owned(), candidate.resolves.into());
        shape::put_object(
            &mut map,
            &self.tree.object_of(candidate.origin),
            self.tree.target_of(candidate.origin),
        );
        Value::Object(map)
    }
}
