//! slashopt makes AWS Lambda's `/opt` on any Linux machine: an ordered list of layers in, one exact root out, with the
//! environment that a runtime would search it by.
//!
//! ```text
//!    zip bytes                                                     the machine
//!       |                                                               ^
//!       v                                                               |
//!    archive ──> layer ──> merge ──> plan, mount_plan ─────────> host: extract, cache, mount, exec,
//!    (judged     (stack,   (tree,    (what to do,                flatten, pack, store, serve
//!     index)      quotas)   who won)  ordered and sized)                |
//!                             ├────> collisions, packages,              |
//!                             |      modules, diff, check            reports
//!                             └────> runtime, environment               |
//!    registry: (request, what the store has) -> answer                  |
//!                                                        cli: words, text, JSON, exit codes
//! ```
//!
//! # Reading order
//!
//! [`path`] and [`entry`] say what a name and an object are, [`archive`] judges the bytes of one zip, [`layer`] makes a tree of
//! it and a stack of layers, [`merge`] decides who wins.
//!
//! What follows from that: [`plan`] is what has to be done to extract it, [`mount_plan`] to mount it; [`collisions`] says what
//! was lost, [`packages`] in which packages, [`modules`] what a name leads to that a program asks for, [`diff`] what changed,
//! [`summary`] what there is to say of it all, [`quota`] what AWS would say, [`check`] what else would fail there.
//!
//! What is known beforehand: [`runtime`] is the table of runtimes, [`platform`] what their images bring, [`environment`]
//! computes the variables; [`elf`] and [`bytecode`] read what the dynamic loader and Python go by.
//!
//! [`registry`] answers Lambda's operations on layers. [`host`] is everything that touches the machine.
//!
//! # Words
//!
//! A **layer** is a zip archive or a directory with content for `/opt`. Layers **merge** in **merge order**, the first is
//! lowest. A **stack** is layers in that order. A **tree in the cache** is one layer, extracted, known by its **digest**. An
//! archive has **entries**, a tree has **nodes**, which are **objects**: directories, files, links. Of several layers that name
//! a path, one is the **winner**, the others are **shadowed**: a **collision**. One archive naming a path twice is a
//! **duplicate**; layers disagreeing on the kind of an object are a **conflict**.
//!
//! # One call
//!
//! Two layers become a root; the later one overrides the earlier one:
//!
//! ```
//! use std::fs;
//!
//! use slashopt::host::extract::build::{RootRequest, make_root};
//! use slashopt::host::read::input::LayerInput;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let work = tempfile::tempdir()?;
//! for (layer, version) in [("base", "1"), ("deps", "2")] {
//!     fs::create_dir_all(work.path().join(layer).join("python"))?;
//!     fs::write(work.path().join(layer).join("python/greeting.py"), version)?;
//! }
//! let layers = ["base", "deps"].map(|layer| LayerInput::Path(work.path().join(layer)));
//!
//! let root = work.path().join("opt");
//! let built = make_root(&layers, &RootRequest::new(&root)).map_err(|abandoned| abandoned.error)?;
//!
//! assert_eq!(fs::read_to_string(root.join("python/greeting.py"))?, "2");
//! assert_eq!(built.summary.collisions.content, 1);
//! # Ok(())
//! # }
//! ```
//!
//! # What is absent
//!
//! - Nothing outside [`host`] opens a file, starts a thread, reads a clock or a variable.
//! - Nothing in the library prints, or reads the user's configuration.
//! - [`merge::MergedTree::merge`] cannot fail: a conflict is a value, and whether it matters is decided later.
//! - No path that was not judged reaches the disk, and no name is judged twice in two ways.
//! - No count or size in an archive decides an allocation.

pub mod archive;
pub mod bytecode;
pub mod check;
pub mod collisions;
pub mod diff;
pub mod digest;
pub mod elf;
pub mod entry;
pub mod environment;
pub mod layer;
pub mod merge;
pub mod modules;
pub mod mount_plan;
pub mod packages;
pub mod path;
pub mod plan;
pub mod platform;
pub mod quota;
pub mod registry;
pub mod runtime;
pub mod summary;
pub mod timestamp;

pub mod host;
