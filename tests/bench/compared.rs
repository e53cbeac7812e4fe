//! The floor of `collisions`: reading and judging the directories, and inflating the files whose bytes have to be compared.
//!
//! Comparing and summing them, finding packages and telling what was found are not in it.

use slashopt::collisions::{SameBytes, pairs_to_compare};
use slashopt::host::read::input::LayerInput;
use slashopt::host::system::budget::Budget;
use slashopt::merge::{LinkedDirectory, MergedTree, Origin};

use super::{Decoder, deflated, in_parallel, load, timed};

/// Files that a thread takes at once.
const BATCH: usize = 64;

/// Prints one JSON object: what both parts take, and of how many files and bytes.
pub(crate) fn run(threads: usize, inputs: &[LayerInput]) {
    let budget = Budget::default();
    let (loaded, (load_wall, load_cpu)) = timed(|| load(inputs, &budget));
    let tree = MergedTree::merge(&loaded.stack, LinkedDirectory::Replace);
    let pairs = pairs_to_compare(&tree, SameBytes::ByComparison).into_iter();
    let mut files: Vec<Origin> = pairs.flat_map(|(one, other)| [one, other]).collect();
    files.sort_unstable();
    files.dedup();
    let size = |file: Origin| tree.object_of(file).size;
    let bytes: u64 = files.iter().map(|&file| size(file)).sum();
    let batches: Vec<&[Origin]> = files.chunks(BATCH).collect();
    let ((), (inflate_wall, inflate_cpu)) = timed(|| {
        in_parallel(threads, &batches, |batches| {
            let mut decoder = Decoder::new();
            for &file in batches.flat_map(|batch| *batch) {
                if let Some(data) = deflated(&loaded, file) {
                    decoder.inflate(&data, usize::try_from(size(file)).expect("in memory"));
                }
            }
        });
    });
    println!(
        "{{\"load_wall\": {load_wall:.6}, \"load_cpu\": {load_cpu:.6}, \"inflate_wall\": {inflate_wall:.6}, \
         \"inflate_cpu\": {inflate_cpu:.6}, \"files\": {}, \"bytes\": {bytes}}}",
        files.len()
    );
}
