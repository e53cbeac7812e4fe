//! The floor: what extracting a stack costs at least, whoever does it.
//!
//! It inflates every winning entry from memory, with the decoder that its size would get, and creates the same tree with the
//! same bytes, modes and times from memory. Reading archives, judging and merging them, checking sums and publishing are not
//! in it. Each part is timed alone, and one JSON object is printed: seconds of wall time, and of processor time, and `alone`,
//! the seconds that the slowest entry takes by itself, which no number of threads makes shorter.
//!
//! What the floor leaves out, and no extractor that deserves trust can, is timed beside it: reading and judging the
//! directories (`load`), merging and planning (`plan`), reading the compressed data (`read`), and the sums (`sums`).
//!
//! All content is held in memory, so it is not for stacks that do not fit there.
//!
//! `cargo bench --bench floor -- DIRECTORY THREADS LAYER...`
//!
//! With `--compared` for the directory it is the floor of `collisions` instead (`compared`).

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    clippy::cast_precision_loss,
    reason = "a measurement that cannot be made says so by panicking"
)]

use std::fs::File;
use std::io::Write as _;
use std::iter;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use nix::sys::mman::{MmapAdvise, madvise};
use nix::sys::resource::{UsageWho, getrusage};

use slashopt::archive::Method;
use slashopt::host::read::entry::Reader;
use slashopt::host::read::input::LayerInput;
use slashopt::host::read::options::LoadOptions;
use slashopt::host::read::stack::LoadedStack;
use slashopt::host::read::stack::OpenLayer;
use slashopt::host::system::budget::Budget;
use slashopt::host::system::root::{
    Root, create_directory, create_file, create_symlink, set_mode, set_modified, set_modified_at,
};
use slashopt::merge::{LinkedDirectory, MergedTree, NodeId, Origin};
use slashopt::plan::{ExtractPlan, Limits};

mod compared;

/// A file that is to be made.
struct Planned {
    node: NodeId,
    compressed: Option<Vec<u8>>,
    content: Vec<u8>,
}

fn main() {
    let mut arguments = std::env::args()
        .skip(1)
        .filter(|argument| argument != "--bench");
    let directory = arguments.next().expect("a directory");
    let threads: usize = arguments
        .next()
        .and_then(|count| count.parse().ok())
        .expect("a number of threads");
    let inputs: Vec<LayerInput> = arguments
        .map(|layer| LayerInput::Path(layer.into()))
        .collect();
    if directory == "--compared" {
        return compared::run(threads, &inputs);
    }
    let budget = Budget::default();
    let (loaded, load) = timed(|| load(&inputs, &budget));
    let ((tree, plan), planning) = timed(|| {
        let tree = MergedTree::merge(&loaded.stack, LinkedDirectory::Replace);
        let plan = ExtractPlan::new(&tree);
        (tree, plan)
    });
    let mut reader = Reader::new(&budget);
    // Threads take whole batches, as ours do: in one directory they would wait for each other.
    let mut batches: Vec<Vec<Planned>> = Vec::with_capacity(plan.batches.len());
    for batch in &plan.batches {
        let nodes = plan.files[batch.files.clone()].iter();
        let files = nodes.map(|&node| planned(&loaded, &tree, node, &mut reader));
        batches.push(files.collect());
    }

    let ((), inflate) = timed(|| {
        in_parallel(threads, &batches, |batches| {
            inflate_all(&mut batches.flatten());
        });
    });
    let ((), create) = timed(|| create_all(threads, &tree, &plan, &batches, Path::new(&directory)));
    let alone = slowest_alone(&batches, &Path::new(&directory).with_extension("alone"));
    let ((), read) = timed(|| read_all(&loaded));
    let ((), sums) = timed(|| sum_all(&batches));
    let parts = [
        ("load", load),
        ("plan", planning),
        ("inflate", inflate),
        ("create", create),
        ("read", read),
        ("sums", sums),
    ];
    let parts = parts
        .map(|(name, (wall, cpu))| format!("\"{name}_wall\": {wall:.6}, \"{name}_cpu\": {cpu:.6}"));
    println!("{{{}, \"alone\": {alone:.6}}}", parts.join(", "));
}

/// Reads and judges the directories of all layers, however large they are.
fn load(inputs: &[LayerInput], budget: &Budget) -> LoadedStack {
    let options = LoadOptions {
        limits: Limits {
            max_bytes: u64::MAX,
            max_entries: u64::MAX,
        },
        ..LoadOptions::default()
    };
    LoadedStack::load(inputs, options, budget).expect("layers")
}

/// Reads every archive once, in pieces that stay in the processor's cache.
fn read_all(loaded: &LoadedStack) {
    let mut piece = vec![0; 256 << 10];
    for (id, layer) in loaded.stack.in_merge_order() {
        if let OpenLayer::Archive { file, .. } = loaded.open(id) {
            let mut start = 0;
            while start < layer.code_bytes {
                let bytes = file.read_at(&mut piece, start).expect("data");
                start += (bytes as u64).max(1);
            }
        }
    }
}

/// The sum of every file's content.
#[allow(unsafe_code, reason = "the sum is made by a C library")]
fn sum_all(batches: &[Vec<Planned>]) {
    for file in batches.iter().flatten() {
        let content = &file.content;
        // SAFETY: the pointer is valid for the length given.
        let sum =
            unsafe { libdeflate_sys::libdeflate_crc32(0, content.as_ptr().cast(), content.len()) };
        std::hint::black_box(sum);
    }
}

fn planned(
    loaded: &LoadedStack,
    tree: &MergedTree<'_>,
    node: NodeId,
    reader: &mut Reader<'_>,
) -> Planned {
    let origin = tree.provider(node);
    let mut content = Vec::new();
    reader
        .read(loaded, origin, |bytes| {
            content.extend_from_slice(bytes);
            Ok(())
        })
        .expect("content");
    Planned {
        node,
        compressed: deflated(loaded, origin),
        content,
    }
}

/// What an archive holds of a file, if it is deflated and not empty.
fn deflated(loaded: &LoadedStack, origin: Origin) -> Option<Vec<u8>> {
    let layer = loaded.stack.get(origin.layer)?;
    let OpenLayer::Archive { archive, file } = loaded.open(origin.layer) else {
        return None;
    };
    let index = layer.entry_of(origin.node).expect("an entry");
    let entry = &archive.entries()[index as usize];
    let span = entry.boundary - entry.header_offset;
    let mut data = vec![0; usize::try_from(span).expect("in memory")];
    file.read_exact_at(&mut data, entry.header_offset)
        .expect("data");
    let start = archive
        .judge_local(index, &data)
        .expect("a sound header")
        .data_start;
    data.drain(..start);
    data.truncate(usize::try_from(entry.compressed_bytes).expect("in memory"));
    (entry.method == Method::Deflated && entry.uncompressed_bytes > 0).then_some(data)
}

/// What `work` gives, and its wall and processor seconds.
fn timed<T>(work: impl FnOnce() -> T) -> (T, (f64, f64)) {
    let processor = || {
        let usage = getrusage(UsageWho::RUSAGE_SELF).expect("usage");
        [usage.user_time(), usage.system_time()]
            .iter()
            .map(|time| time.tv_sec() as f64 + time.tv_usec() as f64 / 1e6)
            .sum::<f64>()
    };
    let (started, before) = (Instant::now(), processor());
    let made = work();
    let taken = (started.elapsed().as_secs_f64(), processor() - before);
    (made, taken)
}

/// Gives each thread the next piece until none is left.
fn in_parallel<T: Sync>(
    threads: usize,
    items: &[T],
    work: impl Fn(&mut dyn Iterator<Item = &T>) + Sync,
) {
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                work(&mut iter::from_fn(|| {
                    items.get(next.fetch_add(1, Ordering::Relaxed))
                }));
            });
        }
    });
}

fn inflate_all(files: &mut dyn Iterator<Item = &Planned>) {
    let mut decoder = Decoder::new();
    for file in files {
        if let Some(data) = &file.compressed {
            decoder.inflate(data, file.content.len());
        }
    }
}

/// The decoder that entries which fit in memory get, with a buffer for what they inflate to.
struct Decoder {
    decompressor: *mut libdeflate_sys::libdeflate_decompressor,
    output: Vec<u8>,
}

#[allow(unsafe_code, reason = "the decoder is a C library")]
impl Decoder {
    fn new() -> Self {
        Self {
            // SAFETY: it takes nothing and gives a decompressor that is freed when this value is dropped.
            decompressor: unsafe { libdeflate_sys::libdeflate_alloc_decompressor() },
            output: Vec::new(),
        }
    }

    fn inflate(&mut self, data: &[u8], bytes: usize) {
        if self.output.len() < bytes {
            self.output = buffer(bytes);
        }
        // SAFETY: the pointers are valid for the lengths given; a null result is allowed when the size is exact.
        let result = unsafe {
            libdeflate_sys::libdeflate_deflate_decompress(
                self.decompressor,
                data.as_ptr().cast(),
                data.len(),
                self.output.as_mut_ptr().cast(),
                bytes,
                std::ptr::null_mut(),
            )
        };
        assert_eq!(result, 0, "it inflates");
    }
}

#[allow(unsafe_code, reason = "the decoder is a C library")]
impl Drop for Decoder {
    fn drop(&mut self) {
        // SAFETY: it is freed once.
        unsafe { libdeflate_sys::libdeflate_free_decompressor(self.decompressor) };
    }
}

/// A buffer of zeros that the kernel backs with huge pages where it can: the floor must not be slow where we are fast.
#[allow(unsafe_code, reason = "madvise(2) has no safe form")]
fn buffer(bytes: usize) -> Vec<u8> {
    let mut buffer = vec![0; bytes];
    if bytes >= 2 << 20 {
        // SAFETY: the range is this buffer's own memory, and the advice changes nothing but how it is backed.
        let _ = unsafe {
            madvise(
                NonNull::from(buffer.as_mut_slice()).cast(),
                bytes,
                MmapAdvise::MADV_HUGEPAGE,
            )
        };
    }
    buffer
}

/// Seconds of wall time to inflate and write the slowest entry and nothing else. It is one of the largest, so only these are
/// tried.
fn slowest_alone(batches: &[Vec<Planned>], scratch: &Path) -> f64 {
    let mut largest: Vec<&Planned> = batches.iter().flatten().collect();
    largest.sort_by_key(|file| std::cmp::Reverse(file.content.len()));
    largest.truncate(4);
    let seconds = largest.into_iter().map(|file| {
        let ((), (wall, _)) = timed(|| {
            inflate_all(&mut iter::once(file));
            let mut created = File::create_new(scratch).expect("a file");
            created.write_all(&file.content).expect("written");
        });
        std::fs::remove_file(scratch).expect("removed");
        wall
    });
    seconds.fold(0.0, f64::max)
}

fn create_all(
    threads: usize,
    tree: &MergedTree<'_>,
    plan: &ExtractPlan,
    batches: &[Vec<Planned>],
    directory: &Path,
) {
    let umask = slashopt::host::extract::extraction::read_umask();
    std::fs::create_dir(directory).expect("a fresh directory");
    let root = Root::new(File::open(directory).expect("the directory"));
    for level in &plan.levels {
        let families: Vec<&[NodeId]> = level
            .chunk_by(|&one, &other| tree.parent(one) == tree.parent(other))
            .collect();
        in_parallel(threads, &families, |families| {
            for family in families {
                let parent = root
                    .enter(tree.path(tree.parent(family[0])).as_bytes())
                    .expect("a directory");
                for &node in *family {
                    create_directory(&parent, tree.name(node), tree.object(node).mode)
                        .expect("a directory");
                }
            }
        });
    }
    in_parallel(threads, batches, |batches| {
        for files in batches {
            let parent = root
                .enter(tree.path(tree.parent(files[0].node)).as_bytes())
                .expect("a directory");
            for file in files {
                let object = tree.object(file.node);
                let created = create_file(&parent, tree.name(file.node), object.mode);
                let mut created = File::from(created.expect("a file"));
                created.write_all(&file.content).expect("written");
                if object.mode.bits() & umask != 0 {
                    set_mode(&created, object.mode).expect("a mode");
                }
                set_modified(&created, object.modified).expect("a time");
            }
        }
    });
    let directories: Vec<NodeId> = plan.levels.iter().flatten().copied().collect();
    for (nodes, are_links) in [(&plan.symlinks, true), (&directories, false)] {
        let families: Vec<&[NodeId]> = nodes
            .chunk_by(|&one, &other| tree.parent(one) == tree.parent(other))
            .collect();
        in_parallel(threads, &families, |families| {
            for family in families {
                let parent = root
                    .enter(tree.path(tree.parent(family[0])).as_bytes())
                    .expect("a directory");
                for &node in *family {
                    let (name, modified) = (tree.name(node), tree.object(node).modified);
                    if are_links {
                        let target = tree.target_of(tree.provider(node)).expect("a target");
                        create_symlink(&parent, name, target, modified).expect("a link");
                    } else {
                        set_modified_at(&parent, name, modified).expect("a time");
                    }
                }
            }
        });
    }
}
