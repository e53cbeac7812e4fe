//! Several directories seen as one, by the kernel's overlay file system.

use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use nix::errno::Errno;
use nix::mount::MsFlags;
use nix::unistd::fchdir;
use rustix::mount::{MountAttrFlags, fsconfig_set_string};

use super::calls::{FileSystem, TAME, classic, magic_link};
use super::error::{MountError, failed, is_missing};
use super::layering::Layering;
use super::lower::{Calls, Lower, open_place};

/// Bytes of all names in the options of `mount(2)`, which are one page.
const MAX_NAMES_BYTES: usize = 4096 - 64;

impl Layering<'_> {
    pub(super) fn overlay(
        &self,
        target: &Path,
        writable: Option<[&Lower; 2]>,
    ) -> Result<(), MountError> {
        if self.calls > Calls::Classic {
            match self.overlay_by_descriptor(target, writable) {
                // EINVAL without a word: this kernel does not know the option.
                Err(error) if is_missing(&error) || is_unknown_option(&error) => {}
                answer => return answer,
            }
        }
        self.overlay_by_options(target, writable)
    }

    fn overlay_by_descriptor(
        &self,
        target: &Path,
        writable: Option<[&Lower; 2]>,
    ) -> Result<(), MountError> {
        let overlay = FileSystem::open("overlay", self.source)?;
        // The one order that differs: a list of layers begins with the lowest, this one with the topmost.
        for lower in self.lowers.iter().rev() {
            overlay.set_directory("lowerdir+", lower, self.calls)?;
        }
        if let Some([upper, work]) = writable {
            overlay.set_directory("upperdir", upper, self.calls)?;
            overlay.set_directory("workdir", work, self.calls)?;
            for option in self.options_of_writable() {
                overlay.set(option)?;
            }
        }
        // One device number for all files, also where the directories are on several file systems; not in every kernel.
        if let Err(error) = fsconfig_set_string(&overlay.descriptor, "xino", "auto") {
            tracing::debug!(%error, "no xino");
        }
        let attributes = if writable.is_some() {
            MountAttrFlags::empty()
        } else {
            MountAttrFlags::MOUNT_ATTR_RDONLY
        };
        overlay.mount(target, attributes)
    }

    /// Attributes that a user without rights may set. Not `volatile`: it saves nothing in memory, and leaves a mark that keeps
    /// the directories from being mounted again.
    fn options_of_writable(&self) -> &'static [&'static str] {
        if self.is_in_user_namespace {
            &["userxattr"]
        } else {
            &[]
        }
    }

    fn overlay_by_options(
        &self,
        target: &Path,
        writable: Option<[&Lower; 2]>,
    ) -> Result<(), MountError> {
        let here = open_place(Path::new(".")).map_err(failed("open(2)"))?;
        let (parent, names) = self.names_for_options();
        let mut options = b"lowerdir=".to_vec();
        options.extend(names.join(&b':'));
        if let Some([upper, work]) = writable {
            options.extend([b",upperdir=", magic_link(upper).as_bytes()].concat());
            options.extend([b",workdir=", magic_link(work).as_bytes()].concat());
            for option in self.options_of_writable() {
                options.extend([b",", option.as_bytes()].concat());
            }
        }
        let target_there = target
            .canonicalize()
            .map_err(|error| MountError::of_io("realpath(3)", &error))?;
        if let Some(parent) = parent {
            fchdir(open_place(parent).map_err(failed("open(2)"))?).map_err(failed("fchdir(2)"))?;
        }
        let flags = if writable.is_some() {
            TAME
        } else {
            TAME | MsFlags::MS_RDONLY
        };
        let mounted = classic(self.source, &target_there, "overlay", flags, &options);
        fchdir(here).map_err(failed("fchdir(2)"))?;
        mounted
    }

    /// The lower directories, topmost first, as short as they can be named without a character that means something there: by
    /// their names in the directory that they all lie in, which then is to be the working directory, or by their descriptors.
    fn names_for_options(&self) -> (Option<&Path>, Vec<Vec<u8>>) {
        let lowers = self.lowers.iter().rev();
        let names = lowers.clone().map(|lower| {
            let name = lower.path.file_name()?.as_bytes();
            let is_plain = !name.iter().any(|byte| b":,\\".contains(byte));
            is_plain.then(|| name.to_vec())
        });
        match (self.common_parent(), names.collect::<Option<Vec<_>>>()) {
            (Some(parent), Some(names)) if names.concat().len() + names.len() < MAX_NAMES_BYTES => {
                (Some(parent), names)
            }
            _ => (
                None,
                lowers.map(|lower| magic_link(lower).into_bytes()).collect(),
            ),
        }
    }

    /// The directory that all lower directories are in, if one is.
    fn common_parent(&self) -> Option<&Path> {
        let mut parents = self.lowers.iter().map(|lower| lower.path.parent());
        let first = parents.next()??;
        parents.all(|parent| parent == Some(first)).then_some(first)
    }
}
/// Whether a file system refused an option that it does not know, rather than what was given for it.
fn is_unknown_option(error: &MountError) -> bool {
    let is_of_options = error.step.starts_with("fsconfig(2) of");
    error.errno == Errno::EINVAL && is_of_options
}
