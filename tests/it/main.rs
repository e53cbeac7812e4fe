//! The integration tests: one binary, a file per behaviour, and names that are sentences.
//! All of them use the program as a user does, by its command line; what each rule is, the names say.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stderr,
    reason = "a test that cannot go on says so by panicking, and one that is left out says why"
)]

/// How the tests are written: archives byte by byte, trees as values, commands in a sandbox.
mod support;

/// The naive reference: layers as plain values in, the expected tree out.
mod model;

/// The tests' own tools, judged by Info-ZIP, bsdtar and Python.
mod foreign;

/// What honest packers write is accepted, and extracts to what Info-ZIP gives.
mod packers;

/// For every generated stack: the root is what the model says, whatever the threads, the order, the policy.
mod properties;

/// What is in the root: order, kinds, modes, times, links, conflicts, the kinds of layers.
mod extract;

/// Several layers as one archive: it extracts to what they extract to.
mod flatten;

/// A directory as an archive: the same content gives the same bytes, and every reader finds it.
mod pack;

/// The runtime environment: formats, targets, real interpreters.
mod environment;

/// Layers as people really make them, against other tools, interpreters and AWS's bootstraps.
mod real_layers;

/// Where a root may go, and that it appears whole or not at all.
mod destination;

/// Nothing leads out of the place where a root is built: not without `openat2`, not for an attacker, not by any call.
mod containment;
mod contested;

/// Every system call fails once: all or nothing, and what is left is named.
mod faults;

/// Full disks, low limits, signals, archives that change, two runs at once.
mod interruptions;

/// What Linux does to who writes files: access lists, umasks, overlays, file systems without attributes, no `/proc`.
mod traps;

/// A command with the layers at `/opt`: what it sees, how it starts, that nothing stays.
mod exec;

/// An entrypoint in images of static binaries, however the container is made.
mod exec_image;

/// Real layers and stock interpreters through `exec`.
mod exec_real;

/// The same where mounting is forbidden, or only old calls are there; and what `probe` says of it.
mod exec_restricted;

/// What a command sees at `/opt` is what `extract` makes.
mod exec_tree;

/// What interpreters are told beyond search paths, by real ones.
mod hooks;

/// Mounts that outlive the command.
mod mounts;

/// What is said: JSON, warnings, collisions, quotas, limits, usage.
mod reports;

/// The page to look at, in a browser.
mod html_report;

/// What would fail in the cloud: each rule, each format.
mod check;

/// Layers that stay extracted: what is in the cache, who notices when it is not whole.
mod cache;

/// The cache among processes: at once, killed, pruned, after a power cut.
mod cache_life;

/// `collisions`: what is told of them, in each format, and that it is so.
mod collisions;
/// What is mounted is what is extracted.
mod mount_plan;

/// `diff`: what is told of two sides, judged by git, diff, Python and the model.
mod diff;

/// What cannot be done: status, message, hint, nothing left behind.
mod errors;

/// Odd and hostile archives, each with its verdict, and what other readers make of the accepted ones.
mod hostile;

/// Archives that ask for more than they are worth: refused, in little memory.
mod bombs;

/// Good archives, cut and flipped at every byte that matters.
mod mutations;

/// What is read in ELF files, judged by binutils.
mod elf;

/// The packages in the layers: which there are, which wins, what is left of the others, by package managers and interpreters.
mod packages;

/// What a name resolves to, by the interpreters that resolve it.
mod modules;

/// The registry of layers: publish, look, share, delete, collect garbage, several processes at once.
#[cfg(feature = "registry")]
mod registry;

/// The registry's server by AWS's own clients.
#[cfg(feature = "serve")]
mod registry_clients;

/// The registry's server by requests that no client sends, and by several servers of one store.
#[cfg(feature = "serve")]
mod registry_serve;

/// The registry in a bucket, on an S3 server that another project made.
#[cfg(feature = "s3")]
mod registry_s3;

/// Lock files: the same layers later, whatever becomes of their names.
mod lock;

/// AWS's own runtime clients serve handlers that import from the layers.
mod runtime_clients;

/// What the tests find on a machine is no matter to them.
mod odd_machine;

/// The architecture, held by reading the source.
mod tidy;
