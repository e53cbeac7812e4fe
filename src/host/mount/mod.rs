//! Mounts directories on a target: none as an empty file system, one as a bind, several as an overlay.
//!
//! This is the one place for the mount API of Linux 5.2 and later, in which a file system is configured through a descriptor and the
//! kernel says in words what it dislikes. What a kernel or a filter does not have is done by older means:
//!
//! | what | since | then |
//! |---|---|---|
//! | `lowerdir+` by descriptor | 6.13 | `lowerdir+` by a name of at most 255 bytes |
//! | `lowerdir+` | 6.8 | `mount(2)` with all names in one page of options |
//! | `mount_setattr(2)` | 5.12 | `mount(2)` with `MS_REMOUNT` |
//! | `fsopen(2)`, `open_tree(2)` | 5.2 | `mount(2)` |
//!
//! Everything is mounted `nosuid,nodev`, and read-only before anybody can see it.

mod calls;
mod error;
mod layering;
mod lower;
mod overlay;
pub mod persistent;

pub(in crate::host) use calls::remount;
pub use error::MountError;
pub(in crate::host) use error::failed;
pub use layering::{Layering, MountMode, bind, empty};
pub use lower::{Calls, Lower, open_place};
