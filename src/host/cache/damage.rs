//! Whether a tree in the cache is what its manifest says, to the last byte.

use std::fs::File;
use std::io::Read as _;
use std::os::fd::{BorrowedFd, OwnedFd};

use nix::errno::Errno;
use nix::fcntl::readlinkat;
use nix::sys::stat::{SFlag, fstat};
use rayon::prelude::*;

use super::tree_record::ManifestNode;
use crate::entry::Kind;
use crate::host::error::HostError;
use crate::host::system::checksum::crc32;
use crate::host::system::interrupt::Interrupt;
use crate::host::system::root::{Root, examine, list_names, open_whatever_the_mode, split_path};
use crate::path::Escaped;

/// Bytes that are read at once.
const PIECE_BYTES: usize = 256 << 10;

/// Something in a tree that is not as it was built.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Damage {
    /// The path in the tree.
    pub path: Vec<u8>,
    /// What is wrong.
    pub what: String,
}

/// Compares a tree with its manifest, on all threads of the pool that this runs in. Sorted by path.
pub(super) fn damages(
    tree: &OwnedFd,
    nodes: &[ManifestNode],
    interrupt: &Interrupt,
) -> Result<Vec<Damage>, HostError> {
    let found: Vec<Result<Option<Damage>, HostError>> = nodes
        .par_iter()
        .with_min_len(16)
        .map_init(Vec::new, |piece, node| {
            interrupt.check()?;
            Ok(judge(tree, node, piece).map(|what| Damage {
                path: node.path.clone(),
                what,
            }))
        })
        .collect();
    let mut damages = Vec::new();
    for damage in found {
        damages.extend(damage?);
    }
    damages.extend(strangers(tree, nodes));
    damages.sort_unstable_by(|one, other| one.path.cmp(&other.path));
    Ok(damages)
}

/// What is wrong with one object.
fn judge(tree: &OwnedFd, node: &ManifestNode, piece: &mut Vec<u8>) -> Option<String> {
    match look(&Root::borrow(tree), node, piece) {
        Ok(found) => found,
        Err(Errno::ENOENT) => Some("it is missing".to_owned()),
        Err(error) => Some(format!("it cannot be read: {error}")),
    }
}

fn look(
    root: &Root<BorrowedFd<'_>>,
    node: &ManifestNode,
    piece: &mut Vec<u8>,
) -> Result<Option<String>, Errno> {
    let (parent, name) = split_path(&node.path);
    let parent = root.open_directory(parent)?;
    let about = examine(&parent, name)?.ok_or(Errno::ENOENT)?;
    let kind = match SFlag::from_bits_truncate(about.st_mode) & SFlag::S_IFMT {
        SFlag::S_IFDIR => Some(Kind::Directory),
        SFlag::S_IFREG => Some(Kind::File),
        SFlag::S_IFLNK => Some(Kind::Symlink),
        _ => None,
    };
    if kind != Some(node.object.kind) {
        return Ok(Some(format!("it is no {}", node.object.kind)));
    }
    if about.st_mtime != node.object.modified.0 {
        return Ok(Some("its time differs".to_owned()));
    }
    if node.object.kind == Kind::Symlink {
        let target = readlinkat(&parent, name)?;
        let is_same = target.as_encoded_bytes() == node.target;
        return Ok((!is_same).then(|| "its target differs".to_owned()));
    }
    let bits = node.object.mode.bits();
    if about.st_mode & 0o7777 != u32::from(bits) {
        return Ok(Some(format!(
            "its mode is {:04o}, not {}",
            about.st_mode & 0o7777,
            node.object.mode
        )));
    }
    if node.object.kind == Kind::Directory {
        return Ok(None);
    }
    if u64::try_from(about.st_size) != Ok(node.object.size) {
        return Ok(Some(format!(
            "it has {} bytes, not {}",
            about.st_size, node.object.size
        )));
    }
    let file = match root.open_file(&node.path) {
        Err(Errno::EACCES) => open_whatever_the_mode(root, &node.path, node.object.mode)?,
        other => other?,
    };
    let found = checksum(&file, piece)?;
    let stated = node.object.crc32.unwrap_or(found);
    Ok((found != stated)
        .then(|| format!("its bytes differ: the CRC-32 is {found:08x}, not {stated:08x}")))
}

fn checksum(file: &OwnedFd, piece: &mut Vec<u8>) -> Result<u32, Errno> {
    piece.resize(PIECE_BYTES, 0);
    let mut file = File::from(file.try_clone().map_err(|error| errno(&error))?);
    let mut crc = 0;
    loop {
        match file.read(piece) {
            Ok(0) => return Ok(crc),
            Ok(count) => crc = crc32(crc, piece.get(..count).unwrap_or_default()),
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(errno(&error)),
        }
    }
}

fn errno(error: &std::io::Error) -> Errno {
    Errno::from_raw(error.raw_os_error().unwrap_or(nix::libc::EIO))
}

/// What is in a tree and not in its manifest.
fn strangers(tree: &OwnedFd, nodes: &[ManifestNode]) -> Vec<Damage> {
    let known: std::collections::HashSet<&[u8]> =
        nodes.iter().map(|node| node.path.as_slice()).collect();
    let directories = nodes
        .iter()
        .filter(|node| node.object.kind == Kind::Directory)
        .map(|node| node.path.as_slice());
    let root = Root::borrow(tree);
    let mut strangers = Vec::new();
    for directory in std::iter::once(b"".as_slice()).chain(directories) {
        let listed = root
            .open_directory(directory)
            .and_then(|directory| list_names(&directory));
        for name in listed.unwrap_or_default() {
            let mut path = directory.to_vec();
            if !path.is_empty() {
                path.push(b'/');
            }
            path.extend_from_slice(&name);
            if !known.contains(path.as_slice()) {
                strangers.push(Damage {
                    path,
                    what: "it does not belong here".to_owned(),
                });
            }
        }
    }
    strangers
}

/// Whether the root itself, which no entry names, is as every root is.
pub(super) fn is_root_intact(tree: &OwnedFd) -> bool {
    let wanted = crate::entry::Object::IMPLIED;
    fstat(tree).is_ok_and(|about| {
        about.st_mtime == wanted.modified.0
            && about.st_mode & 0o7777 == u32::from(wanted.mode.bits())
    })
}

impl std::fmt::Display for Damage {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "`{}`: {}", Escaped(&self.path), self.what)
    }
}
