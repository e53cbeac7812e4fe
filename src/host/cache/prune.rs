//! What is in the cache, what of it is in use, and what can go.
//!
//! Who uses a stack holds a shared lock on its record, or on its trees where the record could not be written. A tree goes only
//! when every record that names it could be locked exclusively, and the tree itself; when no mount of a process that we may
//! look at names it; and when nobody has used it for a day. All that is decided while nobody builds. Then records go, trees are
//! renamed away, and only then deleted.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::os::fd::OwnedFd;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use nix::errno::Errno;
use nix::sys::stat::fstat;
use nix::unistd::{UnlinkatFlags, unlinkat};

use super::builder::BUILDERS;
use super::damage::{Damage, damages, is_root_intact};
use super::lock::{NamedLock, Sharing, share_directory, try_own};
use super::open::Cache;
use super::stack_record::StackRecord;
use super::tree_record::TreeKey;
use super::trees::{LOCKS, MANIFESTS, MEMO, MOST_RECORD_BYTES, RECORDS, STACKS, TREES};
use crate::digest::Digest;
use crate::host::error::HostError;
use crate::host::system::interrupt::Interrupt;
use crate::host::system::root::{Root, examine, list_names, open_directory};
use crate::host::system::whole_file;

/// What was used within this time stays, whatever else is said: a day, and the hour within which a use is noted.
pub const RECENT: Duration = Duration::from_hours(25);

/// A tree in the cache.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Stored {
    /// What it is.
    pub key: TreeKey,
    /// Bytes of all its files.
    pub bytes: u64,
    /// How many objects its layer names.
    pub entries: u64,
    /// When it was last used, to the hour.
    pub last_used: SystemTime,
    /// Whether a running function uses it.
    pub is_in_use: bool,
    /// Whether it must survive a power cut.
    pub is_durable: bool,
}

/// What `prune` is to remove.
#[derive(Clone, Copy, Debug, Default)]
pub struct Pruning {
    /// What was not used for so long.
    pub older_than: Option<Duration>,
    /// What was used least recently, until what is left has no more bytes.
    pub max_bytes: Option<u64>,
}

/// What `prune` removed.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Pruned {
    /// The trees.
    pub removed: Vec<Stored>,
    /// Bytes of all trees that are left.
    pub bytes_left: u64,
    /// How many trees were kept only because they are in use.
    pub in_use: usize,
    /// How many only because they were used within [`RECENT`].
    pub recent: usize,
    /// What could not be removed, a sentence each for the user.
    pub left_behind: Vec<String>,
}

/// A tree that is damaged.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Damaged {
    /// Which.
    pub key: TreeKey,
    /// What is wrong, sorted by path.
    pub damages: Vec<Damage>,
}

/// What `verify` found.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Verified {
    /// How many trees were read.
    pub trees: usize,
    /// Bytes of all their files.
    pub bytes: u64,
    /// Those that are damaged.
    pub damaged: Vec<Damaged>,
}

/// Whether locks are kept that were taken to see whether anybody else has them. Who only looks must not let others wait.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Hold {
    Yes,
    No,
}

/// A stack's record.
struct Stack {
    name: String,
    trees: Vec<TreeKey>,
    last_used: SystemTime,
    is_in_use: bool,
    /// Nobody can begin to use it as long as this is open.
    _own: Option<OwnedFd>,
}

impl Cache {
    /// All trees, the one used least recently first.
    ///
    /// # Errors
    ///
    /// Why the cache cannot be listed.
    pub fn list(&self) -> Result<Vec<Stored>, HostError> {
        let stacks = self.stacks(Hold::No)?;
        Ok(self.stored(&stacks, Hold::No)?.0)
    }

    /// Removes what may go of what is asked for.
    ///
    /// # Errors
    ///
    /// Why the cache cannot be written.
    pub fn prune(&self, pruning: Pruning) -> Result<Pruned, HostError> {
        if !self.folder.is_writable {
            return Err(self.failed("remove anything from it", "", Errno::EACCES));
        }
        let locks = self.require(LOCKS)?;
        let mode = self.folder.file_mode();
        let alone = NamedLock::wait(&locks, BUILDERS, Sharing::Exclusive, mode)
            .map_err(|error| self.failed("take a lock of the cache", LOCKS, error))?;
        let mut stacks = self.stacks(Hold::Yes)?;
        let (stored, _owned) = self.stored(&stacks, Hold::Yes)?;
        let now = SystemTime::now();
        let mut pruned = Pruned::default();
        let mut bytes_left: u64 = stored.iter().map(|tree| tree.bytes).sum();
        for tree in stored {
            let age = now.duration_since(tree.last_used).unwrap_or_default();
            let is_old = pruning.older_than.is_some_and(|least| age >= least);
            let is_too_much = pruning.max_bytes.is_some_and(|most| bytes_left > most);
            if !is_old && !is_too_much {
                continue;
            }
            if tree.is_in_use {
                pruned.in_use += 1;
            } else if age >= RECENT {
                self.remove(&tree, &mut stacks, &mut pruned);
                bytes_left -= tree.bytes;
                pruned.removed.push(tree);
            } else {
                pruned.recent += 1;
            }
        }
        self.remove_strangers(&stacks, &mut pruned);
        drop((alone, stacks));
        pruned.left_behind.extend(self.empty_trash());
        pruned.bytes_left = bytes_left;
        Ok(pruned)
    }

    /// Reads every byte of every tree and compares it with what was recorded. This starts threads.
    ///
    /// # Errors
    ///
    /// Why the cache cannot be read.
    pub fn verify(&self, interrupt: &Interrupt) -> Result<Verified, HostError> {
        let mut verified = Verified::default();
        let names = self.names(TREES)?;
        let keys: Vec<TreeKey> = names
            .iter()
            .filter_map(|name| TreeKey::from_name(name))
            .collect();
        for key in keys {
            interrupt.check()?;
            let trees = self.require(TREES)?;
            // Nobody takes it away while it is read.
            let Ok(Some(tree)) = share_directory(&trees, &key.name()) else {
                continue;
            };
            // One without a record is not believed by anybody.
            let Some(record) = self.tree_record(key) else {
                continue;
            };
            let mut found = Vec::new();
            if !is_root_intact(&tree) {
                found.push(Damage {
                    path: Vec::new(),
                    what: "its mode or time differs".to_owned(),
                });
            }
            match self.manifest(&record) {
                Some(nodes) => found.extend(damages(&tree, &nodes, interrupt)?),
                None => found.push(Damage {
                    path: Vec::new(),
                    what: "its manifest is damaged".to_owned(),
                }),
            }
            verified.trees += 1;
            verified.bytes += record.bytes;
            if !found.is_empty() {
                verified.damaged.push(Damaged {
                    key,
                    damages: found,
                });
            }
        }
        Ok(verified)
    }

    /// Where a tree is.
    pub fn tree_path(&self, key: TreeKey) -> std::path::PathBuf {
        self.path_of(TREES, &key.name())
    }

    /// Whether a running function uses a tree that is there, whatever it is worth.
    pub(super) fn is_in_use(&self, key: TreeKey) -> Result<bool, HostError> {
        if self.open_tree(key).is_err() {
            return Ok(false);
        }
        let stacks = self.stacks(Hold::No)?;
        let mut users = stacks.iter().filter(|stack| stack.is_in_use);
        Ok(users.any(|stack| stack.trees.contains(&key)))
    }

    /// The names in a part of the cache; none if it is not there yet.
    fn names(&self, part: &str) -> Result<Vec<String>, HostError> {
        let folder = match self.folder.open_below(part) {
            Err(Errno::ENOENT) => return Ok(Vec::new()),
            other => other.map_err(|error| self.failed("list the cache", part, error))?,
        };
        let mut names: Vec<String> = list_names(&folder)
            .map_err(|error| self.failed("list the cache", part, error))?
            .into_iter()
            .filter_map(|name| String::from_utf8(name).ok())
            .collect();
        names.sort_unstable();
        Ok(names)
    }

    /// All stacks. Those that nobody uses are locked by us, if locks are held.
    fn stacks(&self, hold: Hold) -> Result<Vec<Stack>, HostError> {
        let mut stacks = Vec::new();
        for name in self.names(STACKS)? {
            if Digest::from_hex(name.as_bytes()).is_err() {
                continue;
            }
            let folder = self.require(STACKS)?;
            let Ok(file) = Root::borrow(&folder).open_file(name.as_bytes()) else {
                continue;
            };
            let is_own = try_own(&folder, &name, &file).unwrap_or(false);
            let last_used = fstat(&file).map_or(UNIX_EPOCH, |about| time(about.st_mtime));
            let record = file
                .try_clone()
                .ok()
                .and_then(|file| whole_file::read_open(file, MOST_RECORD_BYTES))
                .and_then(|record| StackRecord::decode(&record));
            let trees = record.map_or_else(Vec::new, |record| {
                record.trees.iter().map(|tree| tree.key).collect()
            });
            stacks.push(Stack {
                name,
                trees,
                last_used,
                is_in_use: !is_own,
                _own: (is_own && hold == Hold::Yes).then_some(file),
            });
        }
        Ok(stacks)
    }

    /// All trees, and the locks on those that nobody uses, if locks are held.
    fn stored(
        &self,
        stacks: &[Stack],
        hold: Hold,
    ) -> Result<(Vec<Stored>, Vec<OwnedFd>), HostError> {
        let mut last_used: HashMap<TreeKey, SystemTime> = HashMap::new();
        let mut in_use: HashSet<TreeKey> = HashSet::new();
        for stack in stacks {
            for &key in &stack.trees {
                let latest = last_used.entry(key).or_insert(UNIX_EPOCH);
                *latest = (*latest).max(stack.last_used);
                if stack.is_in_use {
                    in_use.insert(key);
                }
            }
        }
        let mounts = mounts();
        let mut stored = Vec::new();
        let mut owned = Vec::new();
        for name in self.names(TREES)? {
            let Some(key) = TreeKey::from_name(&name) else {
                continue;
            };
            let Some(record) = self.tree_record(key) else {
                continue;
            };
            let built = self
                .folder
                .open_below(RECORDS)
                .and_then(|folder| examine(folder, name.as_bytes()));
            let built = match built {
                Ok(Some(about)) => time(about.st_mtime),
                _ => UNIX_EPOCH,
            };
            let used = last_used.get(&key).copied().unwrap_or(UNIX_EPOCH);
            let mut is_in_use =
                in_use.contains(&key) || mounts.iter().any(|text| text.contains(&name));
            let trees = self.require(TREES)?;
            if let Ok(tree) = open_directory(&trees, name.as_bytes()) {
                is_in_use |= !try_own(&trees, &name, &tree).unwrap_or(false);
                if hold == Hold::Yes {
                    owned.push(tree);
                }
            }
            stored.push(Stored {
                key,
                bytes: record.bytes,
                entries: record.entries,
                last_used: used.max(built),
                is_in_use,
                is_durable: record.is_durable,
            });
        }
        stored.sort_by_key(|tree| (tree.last_used, tree.key));
        Ok((stored, owned))
    }

    /// Removes a tree that nobody uses, and every stack that names it.
    fn remove(&self, tree: &Stored, stacks: &mut Vec<Stack>, pruned: &mut Pruned) {
        stacks.retain(|stack| {
            let is_named = stack.trees.contains(&tree.key);
            if is_named {
                self.unlink(STACKS, &stack.name, pruned);
            }
            !is_named
        });
        pruned.left_behind.extend(self.discard(tree.key));
    }

    fn unlink(&self, part: &str, name: &str, pruned: &mut Pruned) {
        let removed = self
            .part(part)
            .and_then(|folder| unlinkat(&folder, name, UnlinkatFlags::NoRemoveDir));
        match removed {
            Ok(()) | Err(Errno::ENOENT) => {}
            Err(error) => pruned.left_behind.push(format!(
                "`{}` could not be removed ({error})",
                self.path_of(part, name).display()
            )),
        }
    }

    /// Removes what belongs to nothing: trees of another format or without a record, half-written files, memories of layers
    /// that are gone, records of stacks that cannot be read.
    fn remove_strangers(&self, stacks: &[Stack], pruned: &mut Pruned) {
        for stack in stacks {
            if stack.trees.is_empty() && !stack.is_in_use && !self.is_recent(STACKS, &stack.name) {
                self.unlink(STACKS, &stack.name, pruned);
            }
        }
        for part in [RECORDS, MANIFESTS, MEMO] {
            for name in self.names(part).unwrap_or_default() {
                let is_foreign = [RECORDS, MANIFESTS].contains(&part)
                    && TreeKey::from_name(&name).is_none_or(|key| self.open_tree(key).is_err());
                let is_forgotten = part == MEMO && !self.is_remembered(&name);
                if (is_foreign || is_forgotten) && !self.is_recent(part, &name) {
                    self.unlink(part, &name, pruned);
                }
            }
        }
        for part in [STACKS, RECORDS, MANIFESTS, MEMO] {
            if let Ok(folder) = self.part(part) {
                whole_file::sweep(&folder);
            }
        }
        if let Ok(locks) = self.part(LOCKS) {
            for name in self.names(LOCKS).unwrap_or_default() {
                let lock = Root::borrow(&locks).open_file(name.as_bytes());
                if lock.is_ok_and(|lock| try_own(&locks, &name, &lock) == Ok(true)) {
                    self.unlink(LOCKS, &name, pruned);
                }
            }
        }
        for name in self.names(TREES).unwrap_or_default() {
            let key = TreeKey::from_name(&name);
            let is_known = key.is_some_and(|key| self.tree_record(key).is_some());
            let is_named = |stack: &Stack| key.is_some_and(|key| stack.trees.contains(&key));
            if is_known || stacks.iter().any(is_named) || self.is_recent(TREES, &name) {
                continue;
            }
            let is_free = self.part(TREES).and_then(|trees| {
                let tree = open_directory(&trees, name.as_bytes())?;
                try_own(&trees, &name, &tree)
            });
            if is_free != Ok(true) || mounts().iter().any(|text| text.contains(&name)) {
                continue;
            }
            pruned.left_behind.extend(self.discard_name(&name));
        }
    }

    /// Whether the layer that a memo speaks of is in the cache.
    fn is_remembered(&self, memo: &str) -> bool {
        let digest = self
            .folder
            .open_below(MEMO)
            .ok()
            .and_then(|folder| super::memo::digest_in(&folder, memo));
        digest.is_some_and(|digest| self.tree_record(TreeKey::layer(digest)).is_some())
    }

    /// Whether something was changed within the last day, or cannot be looked at.
    fn is_recent(&self, part: &str, name: &str) -> bool {
        let found = self
            .folder
            .open_below(part)
            .and_then(|folder| examine(folder, name.as_bytes()));
        let Ok(Some(about)) = found else {
            return true;
        };
        // A tree's root has the time of every root: what counts is when it was put there.
        let age = SystemTime::now().duration_since(time(about.st_ctime));
        age.is_ok_and(|age| age < RECENT)
    }
}

fn time(seconds: i64) -> SystemTime {
    u64::try_from(seconds).map_or(UNIX_EPOCH, |seconds| {
        UNIX_EPOCH + Duration::from_secs(seconds)
    })
}

/// What every process that we may look at has mounted.
fn mounts() -> Vec<String> {
    let mut mounts: Vec<String> = fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .flatten()
        .filter(|process| {
            let name = process.file_name();
            name.as_encoded_bytes().iter().all(u8::is_ascii_digit)
        })
        .filter_map(|process| fs::read(process.path().join("mountinfo")).ok())
        .map(|text| String::from_utf8_lossy(&text).into_owned())
        .collect();
    mounts.sort_unstable();
    mounts.dedup();
    mounts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mounts_of_this_process_are_seen() {
        let own = fs::read_to_string("/proc/self/mountinfo");
        let Ok(own) = own else {
            return;
        };
        assert!(mounts().contains(&own), "{own}");
    }
}
