//! Any stack of layers, extracted: the root is what the naive model says.
#![no_main]

use std::path::Path;
use std::sync::LazyLock;

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use rayon::ThreadPool;
use slashopt::host::system::budget::Budget;
use slashopt::host::extract::destination::{Destination, Replace};
use slashopt::host::extract::extraction::{Extraction, Progress, read_umask};
use slashopt::host::system::durability::Durability;
use slashopt::host::system::interrupt::Interrupt;
use slashopt::host::system::cache_folder::CacheFolder;
use slashopt::host::read::input::LayerInput;
use slashopt::host::read::options::LoadOptions;
use slashopt::host::read::stack::LoadedStack;
use slashopt::merge::{LinkedDirectory, MergedTree};
use slashopt::plan::ExtractPlan;

#[allow(dead_code, reason = "shared with the integration tests")]
#[path = "../../it/model.rs"]
mod model;
#[allow(dead_code, reason = "shared with the integration tests")]
mod support;

use model::{Entry, Object, OnTypeConflict, merge};
use support::{tree::Tree, zip};

/// An entry whose names come from so few words that layers meet all the time.
#[derive(Arbitrary, Debug)]
struct Fuzzed {
    components: [u8; 4],
    depth: u8,
    object: FuzzedObject,
    mode: u16,
    date: u16,
    time: u16,
    modified: Option<u32>,
    is_deflated: bool,
}

#[derive(Arbitrary, Debug)]
enum FuzzedObject {
    Directory,
    File(Vec<u8>),
    Link(u8, bool),
}

const NAMES: [&str; 4] = ["a", "b", "c d", "é"];
const TARGETS: [&str; 8] = ["a", "../a", "b/c d", "/opt/a", "/etc", ".", "../../..", "é"];

impl Fuzzed {
    fn entry(&self) -> Entry {
        let components: Vec<&str> = self.components.iter().take(usize::from(self.depth % 4) + 1).map(|&name| NAMES[usize::from(name % 4)]).collect();
        let mut name = components.join("/").into_bytes();
        let object = match &self.object {
            FuzzedObject::Directory => Object::Directory,
            FuzzedObject::File(content) => Object::File(content.clone()),
            FuzzedObject::Link(target, _) => Object::Link(TARGETS[usize::from(target % 8)].into()),
        };
        if object == Object::Directory {
            name.push(b'/');
        }
        Entry {
            name,
            object,
            mode: Some(u32::from(self.mode & 0o7777)),
            dos: (self.date, self.time),
            extended: self.modified.map(|seconds| (seconds >> 1) as i32),
        }
    }
}

static POOL: LazyLock<ThreadPool> = LazyLock::new(|| rayon::ThreadPoolBuilder::new().num_threads(2).build().expect("two threads"));

fuzz_target!(|input: (bool, Vec<Vec<Fuzzed>>)| {
    let (follows, layers) = input;
    let layers = layers.get(..layers.len().min(5)).unwrap_or_default();
    let entries: Vec<Vec<Entry>> = layers.iter().map(|layer| layer.iter().take(40).map(Fuzzed::entry).collect()).collect();
    let sandbox = tempfile::tempdir_in("/dev/shm").expect("a directory in memory");
    let mut inputs = Vec::new();
    for (number, (layer, fuzzed)) in entries.iter().zip(layers).enumerate() {
        let packed = layer.iter().zip(fuzzed).map(|(entry, fuzzed)| packed(entry, fuzzed));
        let path = sandbox.path().join(format!("{number}.zip"));
        std::fs::write(&path, zip::archive(packed).bytes()).expect("written");
        inputs.push(LayerInput::Path(path));
    }
    let budget = Budget::new(1 << 20);
    // One archive that contradicts itself is refused; the model takes only sound ones.
    let Ok(loaded) = POOL.install(|| LoadedStack::load(&inputs, LoadOptions::default(), &budget)) else { return };
    let (policy, linked) = if follows { (OnTypeConflict::Follow, LinkedDirectory::Follow) } else { (OnTypeConflict::Replace, LinkedDirectory::Replace) };
    let expected = merge(&entries, policy);
    if expected.is_ambiguous() {
        return;
    }
    let root = sandbox.path().join("opt");
    extract(&loaded, linked, &budget, &root);
    let difference = Tree::read(&root).difference(&expected.tree());
    assert!(difference.is_none(), "{}", difference.unwrap_or_default());
});

fn packed(entry: &Entry, fuzzed: &Fuzzed) -> zip::Entry {
    let mut built = match &entry.object {
        Object::Directory => zip::directory(&entry.name),
        Object::File(content) => zip::file(&entry.name, content),
        Object::Link(target) => zip::link(&entry.name, target),
    };
    if let Some(mode) = entry.mode {
        built = built.mode(mode);
    }
    if let Some(seconds) = entry.extended {
        built = built.extended(seconds);
    }
    if fuzzed.is_deflated && entry.object != Object::Directory {
        built = built.deflated();
    }
    built.dos(entry.dos)
}

fn extract(loaded: &LoadedStack, linked: LinkedDirectory, budget: &Budget, root: &Path) {
    let tree = MergedTree::merge(&loaded.stack, linked);
    let plan = ExtractPlan::new(&tree);
    let destination = Destination::examine(root, None, Replace::Nothing, &[0; 32], CacheFolder::default()).expect("nothing is there");
    let extraction = Extraction {
        loaded,
        tree: &tree,
        plan: &plan,
        pool: &POOL,
        budget,
        interrupt: &Interrupt::default(),
        umask: read_umask(),
        durability: Durability::Fast,
    };
    extraction.run(&destination, [0; 32], &Progress::default()).expect("what was judged can be extracted");
}
