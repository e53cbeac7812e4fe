//! The runtimes of Lambda: which there are, and what each one gives to its functions.
//!
//! One static table, one line a runtime; [`Runtime::find`] is the only way in. A runtime is meant in
//! AWS's sense alone: an identifier such as `python3.12`. Nothing here knows this machine, a root or a
//! layer; [`crate::environment`] turns these constants into variables.
//!
//! Two kinds of sources stand behind the values. Identifiers, operating systems, architectures and
//! dates are those of AWS's page "Lambda runtimes" (`lambda-runtimes.html`), read in autumn 2026. The
//! variables are those that functions saw on the service, recorded in January 2026; where no recording
//! exists, a comment beside the value says what it follows.
//!
//! ```
//! use slashopt::runtime::{Family, Runtime};
//!
//! let runtime = Runtime::find("python3.12")?;
//! assert_eq!(runtime.family, Family::Python);
//! assert_eq!(runtime.execution_environment().as_deref(), Some("AWS_Lambda_python3.12"));
//!
//! let unknown = Runtime::find("Python3.12").unwrap_err();
//! assert_eq!(unknown.suggestion, Some("python3.12"));
//! # Ok::<(), slashopt::runtime::UnknownRuntime>(())
//! ```

use std::cmp::Reverse;
use std::fmt;
use std::str::FromStr;

use Architecture::{Arm64, X86_64};
use Family::{Dotnet, Go, Java, Node, Provided, Python, Ruby};
use OperatingSystem::{AmazonLinux1, AmazonLinux2, AmazonLinux2023};

/// Every runtime, in each family from the oldest to the newest.
///
/// A new runtime is one new line. The last column holds only what does not follow from the family and
/// the version: a variable that functions of this runtime see, with its value.
#[rustfmt::skip]
static RUNTIMES: &[Runtime] = &[
    //      identifier         family    version  system           architectures  status on AWS's page      variables of its own
    runtime("nodejs10.x",      Node,     "10",    AmazonLinux2,    X86_ONLY,      deprecated("2021-07-30"), &[]),
    runtime("nodejs12.x",      Node,     "12",    AmazonLinux2,    BOTH,          deprecated("2023-03-31"), NODE_CA_OF_SYSTEM),
    runtime("nodejs14.x",      Node,     "14",    AmazonLinux2,    BOTH,          deprecated("2023-12-04"), NODE_CA_OF_SYSTEM),
    runtime("nodejs16.x",      Node,     "16",    AmazonLinux2,    BOTH,          deprecated("2024-06-12"), NODE_CA_OF_RUNTIME),
    runtime("nodejs18.x",      Node,     "18",    AmazonLinux2,    BOTH,          deprecated("2025-09-01"), NODE_CA_OF_RUNTIME),
    runtime("nodejs20.x",      Node,     "20",    AmazonLinux2023, BOTH,          deprecated("2026-04-30"), &[]),
    runtime("nodejs22.x",      Node,     "22",    AmazonLinux2023, BOTH,          supported("2027-04-30"),  &[]),
    runtime("nodejs24.x",      Node,     "24",    AmazonLinux2023, BOTH,          supported("2028-04-30"),  &[]),
    runtime("nodejs26.x",      Node,     "26",    AmazonLinux2023, BOTH,          Status::Preview,          &[]), // no recording: as 24
    runtime("python2.7",       Python,   "2.7",   AmazonLinux1,    X86_ONLY,      deprecated("2021-07-15"), &[]),
    runtime("python3.6",       Python,   "3.6",   AmazonLinux1,    X86_ONLY,      deprecated("2022-07-18"), &[]),
    runtime("python3.7",       Python,   "3.7",   AmazonLinux1,    X86_ONLY,      deprecated("2023-12-04"), &[]),
    runtime("python3.8",       Python,   "3.8",   AmazonLinux2,    BOTH,          deprecated("2024-10-14"), PYTHON_OF_RUNTIME),
    runtime("python3.9",       Python,   "3.9",   AmazonLinux2,    BOTH,          deprecated("2025-12-15"), PYTHON_OF_RUNTIME),
    runtime("python3.10",      Python,   "3.10",  AmazonLinux2,    BOTH,          supported("2026-10-31"),  PYTHON_OF_RUNTIME),
    runtime("python3.11",      Python,   "3.11",  AmazonLinux2,    BOTH,          supported("2027-06-30"),  PYTHON_OF_RUNTIME),
    runtime("python3.12",      Python,   "3.12",  AmazonLinux2023, BOTH,          supported("2028-10-31"),  PYTHON_COERCED),
    runtime("python3.13",      Python,   "3.13",  AmazonLinux2023, BOTH,          supported("2029-06-30"),  PYTHON_COERCED),
    runtime("python3.14",      Python,   "3.14",  AmazonLinux2023, BOTH,          supported("2029-06-30"),  PYTHON_COERCED),
    runtime("python3.15",      Python,   "3.15",  AmazonLinux2023, BOTH,          Status::Preview,          PYTHON_COERCED), // no recording: as 3.14
    runtime("java8",           Java,     "8",     AmazonLinux1,    X86_ONLY,      deprecated("2024-01-08"), &[]),
    runtime("java8.al2",       Java,     "8",     AmazonLinux2,    BOTH,          supported("2027-06-30"),  &[]),
    runtime("java8.al2023",    Java,     "8",     AmazonLinux2023, BOTH,          supported("2029-06-30"),  &[]), // no recording: as java8.al2
    runtime("java11",          Java,     "11",    AmazonLinux2,    BOTH,          supported("2027-06-30"),  &[]),
    runtime("java11.al2023",   Java,     "11",    AmazonLinux2023, BOTH,          supported("2029-06-30"),  &[]), // no recording: as java11
    runtime("java17",          Java,     "17",    AmazonLinux2,    BOTH,          supported("2027-06-30"),  &[]),
    runtime("java17.al2023",   Java,     "17",    AmazonLinux2023, BOTH,          supported("2029-06-30"),  &[]), // no recording: as java17
    runtime("java21",          Java,     "21",    AmazonLinux2023, BOTH,          supported("2029-06-30"),  &[]),
    runtime("java25",          Java,     "25",    AmazonLinux2023, BOTH,          supported("2029-06-30"),  &[]),
    runtime("ruby2.5",         Ruby,     "2.5",   AmazonLinux1,    X86_ONLY,      deprecated("2021-07-30"), RUBY_BEFORE_CLIENT_GEM),
    runtime("ruby2.7",         Ruby,     "2.7",   AmazonLinux2,    BOTH,          deprecated("2023-12-07"), RUBY_BEFORE_CLIENT_GEM),
    runtime("ruby3.2",         Ruby,     "3.2",   AmazonLinux2,    BOTH,          deprecated("2026-03-31"), RUBY_CLIENT_GEM_3_1_3),
    runtime("ruby3.3",         Ruby,     "3.3",   AmazonLinux2023, BOTH,          supported("2027-03-31"),  RUBY_CLIENT_GEM_3_1_3),
    runtime("ruby3.4",         Ruby,     "3.4",   AmazonLinux2023, BOTH,          supported("2028-03-31"),  RUBY_CLIENT_GEM_3_1_3),
    runtime("ruby4.0",         Ruby,     "4.0",   AmazonLinux2023, BOTH,          supported("2029-03-31"),  RUBY_CLIENT_GEM_3_2_0), // no recording: as 3.4
    runtime("dotnetcore2.1",   Dotnet,   "2.1",   AmazonLinux1,    X86_ONLY,      deprecated("2022-01-05"), &[]),
    runtime("dotnetcore3.1",   Dotnet,   "3.1",   AmazonLinux2,    BOTH,          deprecated("2023-04-03"), &[]),
    runtime("dotnet6",         Dotnet,   "6",     AmazonLinux2,    BOTH,          deprecated("2024-12-20"), DOTNET_6),
    runtime("dotnet8",         Dotnet,   "8",     AmazonLinux2023, BOTH,          supported("2026-11-10"),  DOTNET_8),
    runtime("dotnet10",        Dotnet,   "10",    AmazonLinux2023, BOTH,          supported("2028-11-14"),  DOTNET_10),
    runtime("go1.x",           Go,       "1",     AmazonLinux1,    X86_ONLY,      deprecated("2024-01-08"), &[]),
    runtime("provided",        Provided, "",      AmazonLinux1,    X86_ONLY,      deprecated("2024-01-08"), &[]),
    runtime("provided.al2",    Provided, "",      AmazonLinux2,    BOTH,          deprecated("2026-07-31"), &[]),
    runtime("provided.al2023", Provided, "",      AmazonLinux2023, BOTH,          supported("2029-06-30"),  &[]),
];

const X86_ONLY: &[Architecture] = &[X86_64];
const BOTH: &[Architecture] = &[X86_64, Arm64];

// Recorded in September 2022 (nodejs12.x) and later (nodejs14.x).
const NODE_CA_OF_SYSTEM: &[(&str, &str)] =
    &[("NODE_EXTRA_CA_CERTS", "/etc/pki/tls/certs/ca-bundle.crt")];
// Recorded from 2023 on; in 2022, and in China and the isolated regions until today, the value is that
// of nodejs14.x.
const NODE_CA_OF_RUNTIME: &[(&str, &str)] = &[("NODE_EXTRA_CA_CERTS", "/var/runtime/ca-cert.pem")];
// Set by the bootstrap after it has put the layers on `sys.path`, so it never names a layer.
const PYTHON_OF_RUNTIME: &[(&str, &str)] = &[("PYTHONPATH", "/var/runtime")];
// The interpreter finds no `en_US.UTF-8` on Amazon Linux 2023 and falls back as PEP 538 says.
const PYTHON_COERCED: &[(&str, &str)] = &[("PYTHONPATH", "/var/runtime"), ("LC_CTYPE", "C.UTF-8")];
// ruby2.7 recorded in 2022; ruby2.5 has no recording and follows it.
const RUBY_BEFORE_CLIENT_GEM: &[(&str, &str)] = &[
    ("GEM_HOME", "/var/runtime"),
    ("RUBYLIB", "/var/task:/var/runtime/lib:/opt/ruby/lib"),
];
// The first entry moves with the gem that AWS ships: 3.0.0 until 2025, 3.1.3 since November 2025.
const RUBY_CLIENT_GEM_3_1_3: &[(&str, &str)] = &[
    ("GEM_HOME", "/var/runtime"),
    (
        "RUBYLIB",
        "/var/runtime/gems/aws_lambda_ric-3.1.3/lib:/var/task:/var/runtime/lib:/opt/ruby/lib",
    ),
];
// The gem that lies in the runtime's file system since August 2026.
const RUBY_CLIENT_GEM_3_2_0: &[(&str, &str)] = &[
    ("GEM_HOME", "/var/runtime"),
    (
        "RUBYLIB",
        "/var/runtime/gems/aws_lambda_ric-3.2.0/lib:/var/task:/var/runtime/lib:/opt/ruby/lib",
    ),
];
const DOTNET_6: &[(&str, &str)] = &[
    ("DOTNET_ROOT", "/var/lang/bin"),
    ("LAMBDA_RUNTIME_NAME", "dotnet6"),
];
const DOTNET_8: &[(&str, &str)] = &[
    ("DOTNET_ROOT", "/var/lang/bin"),
    ("LAMBDA_RUNTIME_NAME", "dotnet8"),
    ("SSL_CERT_FILE", "/var/runtime/empty-certificates.crt"),
];
const DOTNET_10: &[(&str, &str)] = &[
    ("DOTNET_ROOT", "/var/lang/bin"),
    ("LAMBDA_RUNTIME_NAME", "dotnet10"),
];

/// `PATH` of nearly every runtime, as recorded on the service down to the slash behind `/usr/bin`.
///
/// It is a constant: never filtered by what exists, and the layers always come last. AWS's page "Defined
/// runtime environment variables" omits `/var/lang/bin`; every recording has it.
pub const PATH: &str = "/var/lang/bin:/usr/local/bin:/usr/bin/:/bin:/opt/bin";
const PATH_WITHOUT_LANGUAGE: &str = "/usr/local/bin:/usr/bin/:/bin:/opt/bin";
const PATH_LANGUAGE_TWICE: &str =
    "/var/lang/bin:/var/lang/bin:/usr/local/bin:/usr/bin/:/bin:/opt/bin";
/// `LD_LIBRARY_PATH` of nearly every runtime, as recorded; a constant like [`PATH`].
pub const LIBRARY_PATH: &str = "/var/lang/lib:/lib64:/usr/lib64:/var/runtime:/var/runtime/lib:\
                            /var/task:/var/task/lib:/opt/lib";
const LIBRARY_PATH_WITHOUT_LANGUAGE: &str = "/lib64:/usr/lib64:/var/runtime:/var/runtime/lib:\
                                             /var/task:/var/task/lib:/opt/lib";
const LIBRARY_PATH_LANGUAGE_TWICE: &str = "/var/lang/lib:/var/lang/lib:/lib64:/usr/lib64:\
                                           /var/runtime:/var/runtime/lib:\
                                           /var/task:/var/task/lib:/opt/lib";

/// A runtime of Lambda: one line of the table.
#[derive(Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Runtime {
    /// The identifier, exactly as AWS writes it. Identifiers are case-sensitive.
    pub identifier: &'static str,
    /// The language, or [`Family::Provided`] where the function brings its own.
    pub family: Family,
    /// The language's version as the layer folders spell it (`20`, `3.12`); empty for
    /// [`Family::Provided`].
    pub version: &'static str,
    /// What the runtime's image is built on.
    pub operating_system: OperatingSystem,
    /// The architectures that a function of this runtime can have; `x86_64` is always among them.
    pub architectures: &'static [Architecture],
    /// What AWS's page says of its life.
    pub status: Status,
    /// Variables that functions of this runtime see and that do not follow from family and version.
    pub variables: &'static [(&'static str, &'static str)],
}

/// The language of a runtime. It decides in which folders of a layer the runtime looks.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Family {
    /// Node.js.
    Node,
    /// Python.
    Python,
    /// Java.
    Java,
    /// Ruby.
    Ruby,
    /// .NET.
    Dotnet,
    /// Go, as the managed runtime that it once was.
    Go,
    /// OS-only: the function brings its own runtime.
    Provided,
}

/// The operating system of a runtime's image.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum OperatingSystem {
    /// Amazon Linux, the first.
    AmazonLinux1,
    /// Amazon Linux 2.
    AmazonLinux2,
    /// Amazon Linux 2023.
    AmazonLinux2023,
}

impl fmt::Display for OperatingSystem {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::AmazonLinux1 => "Amazon Linux 1",
            Self::AmazonLinux2 => "Amazon Linux 2",
            Self::AmazonLinux2023 => "Amazon Linux 2023",
        })
    }
}

/// Where a runtime stands in its life, as AWS's page said in autumn 2026. Dates are `YYYY-MM-DD`, so
/// they compare as text.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Status {
    /// In public preview; AWS has not scheduled its end.
    Preview,
    /// Supported.
    Supported {
        /// The day on which AWS deprecates it.
        until: &'static str,
    },
    /// Deprecated: no security patches, and later no new functions.
    Deprecated {
        /// The day on which AWS deprecated it.
        since: &'static str,
    },
}

/// An instruction set of Lambda, by AWS's names.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum Architecture {
    /// `x86_64`, Lambda's default.
    #[default]
    X86_64,
    /// `arm64`, which Linux calls `aarch64`.
    Arm64,
}

impl fmt::Display for Architecture {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::X86_64 => "x86_64",
            Self::Arm64 => "arm64",
        })
    }
}

/// AWS's two names, and no other: `amd64` and `aarch64` are refused with a suggestion.
impl FromStr for Architecture {
    type Err = UnknownArchitecture;

    fn from_str(text: &str) -> Result<Self, UnknownArchitecture> {
        let suggestion = match text {
            "x86_64" => return Ok(Self::X86_64),
            "arm64" => return Ok(Self::Arm64),
            _ => match text.to_ascii_lowercase().as_str() {
                "x86_64" | "x86-64" | "amd64" | "x64" => Some(Self::X86_64),
                "arm64" | "aarch64" => Some(Self::Arm64),
                _ => None,
            },
        };
        Err(UnknownArchitecture {
            asked: text.to_owned(),
            suggestion,
        })
    }
}

/// Text that names no architecture of Lambda.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("unknown architecture: `{asked}`: Lambda has x86_64 and arm64")]
pub struct UnknownArchitecture {
    /// What was asked for.
    pub asked: String,
    /// What it usually means.
    pub suggestion: Option<Architecture>,
}

/// Text that names no runtime of Lambda.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("unknown runtime: `{asked}`: not an identifier of Lambda")]
pub struct UnknownRuntime {
    /// What was asked for.
    pub asked: String,
    /// The identifier that is most likely meant, if any comes near.
    pub suggestion: Option<&'static str>,
}

/// A folder of a layer that a runtime searches, from AWS's table "Layer paths for each Lambda runtime"
/// (`packaging-layers.html`).
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct SearchedFolder {
    /// The variable through which it is searched.
    pub variable: &'static str,
    /// The folder, relative to `/opt`.
    pub folder: String,
}

impl Runtime {
    /// Finds a runtime by its identifier.
    ///
    /// # Errors
    /// When no runtime has exactly this identifier; the error suggests the one most likely meant.
    pub fn find(identifier: &str) -> Result<&'static Self, UnknownRuntime> {
        RUNTIMES
            .iter()
            .find(|runtime| runtime.identifier == identifier)
            .ok_or_else(|| UnknownRuntime {
                asked: identifier.to_owned(),
                suggestion: nearest(identifier),
            })
    }

    /// Every runtime, in each family from the oldest to the newest.
    pub fn all() -> &'static [Self] {
        RUNTIMES
    }

    /// The supported runtimes of a family, the newest first.
    pub fn supported(family: Family) -> impl Iterator<Item = &'static Self> {
        RUNTIMES
            .iter()
            .rev()
            .filter(move |runtime| runtime.family == family && runtime.is_supported())
    }

    /// Whether AWS's page lists it as supported; a preview is not.
    pub fn is_supported(&self) -> bool {
        matches!(self.status, Status::Supported { .. })
    }

    /// The identifier inside a value of `AWS_EXECUTION_ENV` (`AWS_Lambda_python3.12`), if there is one.
    pub fn identifier_in(execution_environment: &str) -> Option<&str> {
        // `AWS_Lambda_Image` is what container images on Managed Instances see: no runtime.
        execution_environment
            .strip_prefix("AWS_Lambda_")
            .filter(|identifier| *identifier != "Image")
    }

    /// What functions of this runtime see as `AWS_EXECUTION_ENV`; nothing for OS-only runtimes.
    pub fn execution_environment(&self) -> Option<String> {
        (self.family != Provided).then(|| format!("AWS_Lambda_{}", self.identifier))
    }

    /// `PATH` as functions of this runtime see it.
    pub fn path(&self) -> &'static str {
        match self.family {
            // Every ruby runtime prepends the language's directory to a value that has it already.
            Ruby => PATH_LANGUAGE_TWICE,
            _ => self.path_before_bootstrap(),
        }
    }

    /// `LD_LIBRARY_PATH` as functions of this runtime see it.
    pub fn library_path(&self) -> &'static str {
        match self.family {
            // Since ruby3.2; ruby2.7 was recorded with the common value, and ruby2.5 follows it.
            Ruby if !self.version.starts_with("2.") => LIBRARY_PATH_LANGUAGE_TWICE,
            _ => self.library_path_before_bootstrap(),
        }
    }

    /// `PATH` as the service gives it to the runtime's bootstrap.
    pub fn path_before_bootstrap(&self) -> &'static str {
        if self.knows_language_directory() {
            PATH
        } else {
            PATH_WITHOUT_LANGUAGE
        }
    }

    /// `LD_LIBRARY_PATH` as the service gives it to the runtime's bootstrap.
    pub fn library_path_before_bootstrap(&self) -> &'static str {
        if self.knows_language_directory() {
            LIBRARY_PATH
        } else {
            LIBRARY_PATH_WITHOUT_LANGUAGE
        }
    }

    /// `provided` and `provided.al2` never had `/var/lang`; `provided.al2023` gained it in November 2025.
    fn knows_language_directory(&self) -> bool {
        self.family != Provided || self.operating_system == AmazonLinux2023
    }

    /// `NODE_PATH` as functions see it; only for Node.js.
    ///
    /// AWS's page prints a value without the last two entries, which was true of `nodejs10.x`.
    pub fn node_path(&self) -> Option<String> {
        let version = (self.family == Node).then_some(self.version)?;
        let layers = format!("/opt/nodejs/node{version}/node_modules:/opt/nodejs/node_modules");
        let rest = if version == "10" {
            "/var/runtime/node_modules"
        } else {
            "/var/runtime/node_modules:/var/runtime:/var/task"
        };
        Some(format!("{layers}:{rest}"))
    }

    /// `GEM_PATH` as functions see it; only for Ruby. The runtime's own gems joined it with ruby3.2.
    pub fn gem_path(&self) -> Option<String> {
        let version = (self.family == Ruby).then_some(self.version)?;
        let gems = format!("/var/task/vendor/bundle/ruby/{version}.0:/opt/ruby/gems/{version}.0");
        Some(if version.starts_with("2.") {
            gems
        } else {
            format!("{gems}:/var/runtime:/var/runtime/ruby/{version}.0")
        })
    }

    /// The folders of a layer that this runtime searches, in the order in which it searches them.
    ///
    /// The variable named for Java is the one that AWS's table names; on the service a class loader
    /// does its work, and `CLASSPATH` is not set.
    pub fn searched_folders(&self) -> Vec<SearchedFolder> {
        let version = self.version;
        let mut folders = vec![
            SearchedFolder::new("PATH", "bin"),
            SearchedFolder::new("LD_LIBRARY_PATH", "lib"),
        ];
        folders.extend(match self.family {
            Node => vec![
                SearchedFolder::new("NODE_PATH", format!("nodejs/node{version}/node_modules")),
                SearchedFolder::new("NODE_PATH", "nodejs/node_modules"),
            ],
            // AWS's page does not order the two; the bootstrap puts the versioned folder first.
            Python => vec![
                SearchedFolder::new(
                    "PYTHONPATH",
                    format!("python/lib/python{version}/site-packages"),
                ),
                SearchedFolder::new("PYTHONPATH", "python"),
            ],
            Java => vec![SearchedFolder::new("CLASSPATH", "java/lib")],
            Ruby => vec![
                SearchedFolder::new("GEM_PATH", format!("ruby/gems/{version}.0")),
                SearchedFolder::new("RUBYLIB", "ruby/lib"),
            ],
            Dotnet | Go | Provided => Vec::new(),
        });
        folders
    }
}

impl fmt::Display for Runtime {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.identifier)
    }
}

impl SearchedFolder {
    fn new(variable: &'static str, folder: impl Into<String>) -> Self {
        Self {
            variable,
            folder: folder.into(),
        }
    }
}

const fn runtime(
    identifier: &'static str,
    family: Family,
    version: &'static str,
    operating_system: OperatingSystem,
    architectures: &'static [Architecture],
    status: Status,
    variables: &'static [(&'static str, &'static str)],
) -> Runtime {
    Runtime {
        identifier,
        family,
        version,
        operating_system,
        architectures,
        status,
        variables,
    }
}

const fn supported(until: &'static str) -> Status {
    Status::Supported { until }
}

const fn deprecated(since: &'static str) -> Status {
    Status::Deprecated { since }
}

/// The identifier that is most likely meant: the same one in another case, else the newest supported one
/// that begins so (`python` or `nodejs22`), else the one with the fewest letters to change.
fn nearest(asked: &str) -> Option<&'static str> {
    let asked = asked.to_ascii_lowercase();
    if asked.is_empty() {
        return None;
    }
    let begins_so = || {
        RUNTIMES
            .iter()
            .rev()
            .filter(|one| one.identifier.starts_with(&asked))
    };
    let fewest_changes = || {
        RUNTIMES
            .iter()
            .enumerate()
            .map(|(place, one)| (edit_distance(&asked, one.identifier), place, one))
            // More than half of the letters: that is another word, not a slip.
            .filter(|(distance, _, one)| distance * 2 <= asked.len().max(one.identifier.len()))
            .min_by_key(|(distance, place, _)| (*distance, Reverse(*place)))
            .map(|(_, _, one)| one)
    };
    RUNTIMES
        .iter()
        .find(|one| one.identifier == asked)
        .or_else(|| begins_so().find(|one| one.is_supported()))
        .or_else(|| begins_so().next())
        .or_else(fewest_changes)
        .map(|one| one.identifier)
}

/// The number of letters to insert, remove or change that turns one text into the other (Levenshtein).
fn edit_distance(from: &str, to: &str) -> usize {
    // `row[n]` is the distance between what of `from` was read so far and the first n letters of `to`.
    let mut row: Vec<usize> = (0..=to.chars().count()).collect();
    for (read, letter) in from.chars().enumerate() {
        let mut diagonal = read;
        let mut left = read + 1;
        for (cell, wanted) in row
            .iter_mut()
            .zip(std::iter::once(None).chain(to.chars().map(Some)))
        {
            let above = *cell;
            *cell = match wanted {
                None => left,
                Some(wanted) => {
                    let changed = diagonal + usize::from(letter != wanted);
                    changed.min(above + 1).min(left + 1)
                }
            };
            diagonal = above;
            left = *cell;
        }
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    fn find(identifier: &str) -> &'static Runtime {
        Runtime::find(identifier).unwrap()
    }

    #[test]
    fn every_identifier_is_found_and_unique() {
        for runtime in Runtime::all() {
            assert!(std::ptr::eq(find(runtime.identifier), runtime), "{runtime}");
        }
    }

    #[test]
    fn every_line_of_the_table_is_sound() {
        for runtime in Runtime::all() {
            let is_old = runtime.operating_system == AmazonLinux1;
            assert!(runtime.architectures.contains(&X86_64), "{runtime}");
            assert!(!is_old || runtime.architectures == X86_ONLY, "{runtime}");
            if let Status::Supported { until: date } | Status::Deprecated { since: date } =
                runtime.status
            {
                let is_digit = |place: usize| date.as_bytes()[place].is_ascii_digit();
                assert!(
                    date.len() == 10 && [0, 3, 5, 6, 8, 9].into_iter().all(is_digit),
                    "{runtime}"
                );
            }
        }
    }

    #[test]
    fn an_unknown_identifier_suggests_what_was_meant() {
        for (asked, meant) in [
            ("PYTHON3.9", Some("python3.9")),
            ("Java8.AL2", Some("java8.al2")),
            ("python", Some("python3.14")),
            ("python3", Some("python3.14")),
            ("nodejs22", Some("nodejs22.x")),
            ("node20", Some("nodejs20.x")),
            ("pyhton3.12", Some("python3.12")),
            ("python312", Some("python3.12")),
            ("python:3.12", Some("python3.12")),
            ("ruby3.5", Some("ruby3.4")),
            ("go", Some("go1.x")),
            ("provided.al2022", Some("provided.al2023")),
            ("", None),
            ("haskell", None),
            ("日本語", None),
        ] {
            let unknown = Runtime::find(asked).unwrap_err();
            assert_eq!(unknown.suggestion, meant, "{asked}");
            assert_eq!(unknown.asked, asked);
        }
    }

    #[test]
    fn the_edit_distance_is_levenshteins() {
        for (from, to, distance) in [
            ("", "", 0),
            ("", "abc", 3),
            ("abc", "", 3),
            ("kitten", "sitting", 3),
            ("ab", "ba", 2),
        ] {
            assert_eq!(edit_distance(from, to), distance, "{from} {to}");
        }
    }

    #[test]
    fn paths_are_those_recorded_on_the_service() {
        let common = "/var/lang/bin:/usr/local/bin:/usr/bin/:/bin:/opt/bin";
        for (identifier, path) in [
            ("nodejs12.x", common),
            ("nodejs24.x", common),
            ("python3.7", common),
            ("python3.14", common),
            ("java8", common),
            ("dotnet10", common),
            ("go1.x", common),
            (
                "ruby2.7",
                "/var/lang/bin:/var/lang/bin:/usr/local/bin:/usr/bin/:/bin:/opt/bin",
            ),
            (
                "ruby3.4",
                "/var/lang/bin:/var/lang/bin:/usr/local/bin:/usr/bin/:/bin:/opt/bin",
            ),
            ("provided", "/usr/local/bin:/usr/bin/:/bin:/opt/bin"),
            ("provided.al2", "/usr/local/bin:/usr/bin/:/bin:/opt/bin"),
            ("provided.al2023", common),
        ] {
            assert_eq!(find(identifier).path(), path, "{identifier}");
        }
    }

    #[test]
    fn library_paths_are_those_recorded_on_the_service() {
        let rest =
            "/lib64:/usr/lib64:/var/runtime:/var/runtime/lib:/var/task:/var/task/lib:/opt/lib";
        for (identifier, head) in [
            ("nodejs20.x", "/var/lang/lib:"),
            ("ruby2.7", "/var/lang/lib:"),
            ("ruby3.2", "/var/lang/lib:/var/lang/lib:"),
            ("ruby4.0", "/var/lang/lib:/var/lang/lib:"),
            ("provided", ""),
            ("provided.al2", ""),
            ("provided.al2023", "/var/lang/lib:"),
        ] {
            assert_eq!(
                find(identifier).library_path(),
                format!("{head}{rest}"),
                "{identifier}"
            );
        }
    }

    #[test]
    fn the_execution_environment_names_the_runtime_both_ways() {
        for runtime in Runtime::all() {
            let value = runtime.execution_environment();
            assert_eq!(value.is_none(), runtime.family == Provided, "{runtime}");
            if let Some(value) = value {
                assert_eq!(Runtime::identifier_in(&value), Some(runtime.identifier));
            }
        }
        for foreign in ["", "AWS_ECS_FARGATE", "AWS_Lambda_Image", "python3.12"] {
            assert_eq!(Runtime::identifier_in(foreign), None, "{foreign}");
        }
    }

    #[test]
    fn architectures_have_awss_names_alone() {
        for architecture in [X86_64, Arm64] {
            assert_eq!(architecture.to_string().parse(), Ok(architecture));
        }
        for (text, suggestion) in [
            ("aarch64", Some(Arm64)),
            ("AMD64", Some(X86_64)),
            ("ARM64", Some(Arm64)),
            ("mips", None),
        ] {
            assert_eq!(
                text.parse::<Architecture>().unwrap_err().suggestion,
                suggestion,
                "{text}"
            );
        }
    }
}
