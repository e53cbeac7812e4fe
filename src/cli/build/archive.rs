//! One archive to be written: where it goes, what AWS would say of it, and what there is to tell.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use base64::Engine as _;
use clap::Args;
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use slashopt::archive::Refusal;
use slashopt::entry::Kind;
use slashopt::host::error::HostError;
use slashopt::host::pack::archive::Assembly;
use slashopt::host::pack::deflate::Level;
use slashopt::host::pack::output::Output;
use slashopt::plan::{EXAMPLES, FlattenPlan};
use slashopt::quota::{self, MAX_UNZIPPED_BYTES, MAX_ZIPPED_BYTES};

use crate::cli::layers::flags::Quota;
use crate::cli::output::failure::{Exit, Failure};
use crate::cli::output::global::GlobalArgs;
use crate::cli::output::json;
use crate::cli::output::progress::with_progress;
use crate::cli::output::report::Report;
use crate::cli::output::words::{grouped, human_bytes};

/// How hard to compress.
#[derive(Debug, Args)]
pub(crate) struct LevelArgs {
    /// Compress so hard, from 1 (fast) to 12 (small and slow)
    #[arg(long, value_parser = clap::value_parser!(u8).range(1..=12), default_value_t = 9, value_name = "N", env = "SLASHOPT_LEVEL", hide_env = true)]
    level: u8,
}

impl LevelArgs {
    pub(crate) fn level(&self) -> Level {
        Level::new(self.level)
    }
}

/// Where the archive goes.
pub(crate) enum OutputPlace {
    File(Output),
    Stdout,
}

impl OutputPlace {
    /// Judges what was typed for `--output`.
    pub(crate) fn parse(typed: &Path, global: &GlobalArgs) -> Result<Self, Failure> {
        if typed != Path::new("-") {
            return Output::examine(typed).map(Self::File).map_err(|error| {
                let failure = Failure::host(error);
                match failure.hint {
                    Some(_) => failure,
                    None => failure
                        .hint("name a file in a directory that exists, or `-` for standard output"),
                }
            });
        }
        if global.is_json() {
            return Err(Failure::usage(
                "--output: standard output cannot take both the archive and JSON",
            )
            .hint("name a file"));
        }
        if Report::is_terminal() {
            return Err(Failure::usage("--output: standard output is a terminal")
                .hint("name a file, or redirect standard output"));
        }
        Ok(Self::Stdout)
    }

    /// The file, if it is one.
    pub(crate) const fn file(&self) -> Option<&Output> {
        match self {
            Self::File(output) => Some(output),
            Self::Stdout => None,
        }
    }

    fn shown(&self) -> String {
        match self {
            Self::File(output) => output.path().display().to_string(),
            Self::Stdout => "standard output".to_owned(),
        }
    }
}

/// An archive that was written.
pub(crate) struct Package<'p> {
    place: &'p OutputPlace,
    plan: &'p FlattenPlan,
    bytes: u64,
    sha256: [u8; 32],
}

/// What `write` needs besides the assembly.
pub(crate) struct Writing<'w> {
    pub(crate) quota: Quota,
    pub(crate) umask: u16,
    pub(crate) report: &'w Report,
    /// Looks at the whole archive before it appears.
    pub(crate) look: Look<'w>,
}

/// What an archive is looked at by, once it is whole.
pub(crate) type Look<'l> = &'l dyn Fn(&File) -> Result<(), Failure>;

impl Writing<'_> {
    /// Makes the archive and lets it appear; `waived` says in which words what `--lenient` accepted is reported. All warnings are
    /// appended to `warnings`.
    pub(crate) fn write<'p>(
        &self,
        assembly: &Assembly<'p>,
        place: &'p OutputPlace,
        warnings: &mut Vec<String>,
        waived: impl Fn(&(usize, Refusal)) -> String,
    ) -> Result<Package<'p>, Failure> {
        let plan = assembly.plan;
        warnings.extend(clamped(plan));
        // What is known before the work is done fails before it.
        self.judge(plan, None)?;
        let host = Failure::host;
        let abandoned = |abandoned| self.report.abandoned(abandoned);
        let make = |file: &File| {
            let shows = self.report.shows_progress();
            let made = with_progress(shows, |progress| {
                progress.begin(plan.unzipped_bytes());
                assembly.write(file, &progress.bytes)
            })
            .map_err(host)?;
            for exceeded in self.judge(plan, Some(made.bytes))? {
                warnings.push(format!("AWS Lambda would refuse this layer: {exceeded}"));
            }
            warnings.extend(made.waived.iter().map(waived));
            let sha256 = digest(file).map_err(host)?;
            (self.look)(file)?;
            assembly.interrupt.check().map_err(host)?;
            Ok(Package {
                place,
                plan,
                bytes: made.bytes,
                sha256,
            })
        };
        match place {
            OutputPlace::Stdout => {
                let file = tempfile::tempfile()
                    .map_err(|error| host(HostError::io("create it", "a temporary file", error)))?;
                let package = make(&file)?;
                self.report.copy(&file)?;
                Ok(package)
            }
            OutputPlace::File(output) => {
                let draft = output.create().map_err(host)?;
                let package = match make(draft.file()) {
                    Ok(package) => package,
                    Err(failure) => {
                        if let Some(left) = draft.abandon() {
                            self.report.warning(&left);
                        }
                        return Err(failure);
                    }
                };
                draft.publish(self.umask).map_err(abandoned)?;
                Ok(package)
            }
        }
    }

    /// What AWS would say of the archive: an error, or sentences for warnings.
    fn judge(
        &self,
        plan: &FlattenPlan,
        zipped_bytes: Option<u64>,
    ) -> Result<Vec<quota::QuotaExceeded>, Failure> {
        if self.quota == Quota::Off {
            return Ok(Vec::new());
        }
        let exceeded = quota::judge_archive(plan.unzipped_bytes(), zipped_bytes);
        match exceeded.first() {
            Some(first) if self.quota == Quota::Error => Err(Failure::new(
                Exit::Refused,
                format!("AWS Lambda would refuse this layer: {first}"),
            )
            .hint("--quota warn goes on all the same")),
            _ => Ok(exceeded),
        }
    }
}

fn clamped(plan: &FlattenPlan) -> Option<String> {
    let names: Vec<String> = plan
        .clamped_times()
        .take(EXAMPLES)
        .map(|entry| format!("`{}`", slashopt::path::Escaped(&entry.name)))
        .collect();
    let count = plan.clamped_times().count();
    let more = match count - names.len() {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    (count > 0).then(|| {
        format!(
            "{count} {} to the nearest time that a zip archive can hold: {}{more}",
            if count == 1 {
                "entry is set"
            } else {
                "entries are set"
            },
            names.join(", ")
        )
    })
}

fn digest(file: &File) -> Result<[u8; 32], HostError> {
    let failed = |error| HostError::io("read it again", "the archive", error);
    let mut hash = Sha256::new();
    let (mut buffer, mut at) = (vec![0; 1 << 20], 0);
    loop {
        let count = match file.read_at(&mut buffer, at) {
            Ok(0) => return Ok(hash.finalize().into()),
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(failed(error)),
        };
        hash.update(buffer.get(..count).unwrap_or_default());
        at += count as u64;
    }
}

impl Package<'_> {
    /// Writes what there is to tell: the result, or, where the archive itself is the result, lines beside it.
    pub(crate) fn tell(
        &self,
        report: &Report,
        global: &GlobalArgs,
        text: &str,
        json: Map<String, Value>,
    ) -> Result<(), Failure> {
        if matches!(self.place, OutputPlace::Stdout) {
            for line in text.lines() {
                report.note(line);
            }
            return Ok(());
        }
        if global.is_json() {
            report.json(&Value::Object(json))
        } else {
            report.result(text.as_bytes())
        }
    }

    /// `layer.zip: 12 files, 3 directories, 1.2 MB unzipped, 0.4 MB zipped`, the digest, and how much the quotas leave.
    pub(crate) fn to_text(&self) -> String {
        let mut parts = Vec::new();
        for (kind, one, several) in [
            (Kind::File, "file", "files"),
            (Kind::Directory, "directory", "directories"),
            (Kind::Symlink, "link", "links"),
        ] {
            let count = self.plan.count(kind);
            if count > 0 || kind == Kind::File {
                let noun = if count == 1 { one } else { several };
                parts.push(format!("{} {noun}", grouped(count as u64)));
            }
        }
        let unzipped = self.plan.unzipped_bytes();
        format!(
            "{}: {}, {} unzipped, {} zipped\nsha256: {}\nquota: {} of 262,144,000 bytes unzipped ({} %), {} of 52,428,800 bytes zipped ({} %)\n",
            self.place.shown(),
            parts.join(", "),
            human_bytes(unzipped),
            human_bytes(self.bytes),
            self.code_sha256(),
            grouped(unzipped),
            percent(unzipped, MAX_UNZIPPED_BYTES),
            grouped(self.bytes),
            percent(self.bytes, MAX_ZIPPED_BYTES),
        )
    }

    pub(crate) fn to_json(&self, warnings: &[String]) -> Map<String, Value> {
        let exceeded = quota::judge_archive(self.plan.unzipped_bytes(), Some(self.bytes));
        let exceeded: Vec<String> = exceeded.iter().map(ToString::to_string).collect();
        let mut map = Map::new();
        let mut put = |key: &str, value: Value| drop(map.insert(key.to_owned(), value));
        put("schema_version", json::SCHEMA_VERSION.into());
        put("output", self.place.shown().into());
        put("code_sha256", self.code_sha256().into());
        put("code_size", self.bytes.into());
        put("unzipped_size", self.plan.unzipped_bytes().into());
        put("entries", self.plan.entries().len().into());
        put("files", self.plan.count(Kind::File).into());
        put("directories", self.plan.count(Kind::Directory).into());
        put("symlinks", self.plan.count(Kind::Symlink).into());
        put(
            "quota",
            json!({
                "exceeded": exceeded,
                "max_code_size": MAX_ZIPPED_BYTES,
                "max_unzipped_size": MAX_UNZIPPED_BYTES,
            }),
        );
        put("warnings", warnings.into());
        map
    }

    /// As the Lambda API gives it.
    fn code_sha256(&self) -> String {
        base64::engine::general_purpose::STANDARD.encode(self.sha256)
    }
}

/// How much of a quota is used, in whole percent, rounded up.
fn percent(bytes: u64, of: u64) -> u64 {
    bytes.saturating_mul(100).div_ceil(of)
}
