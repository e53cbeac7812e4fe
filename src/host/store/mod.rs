//! Where a registry keeps its layers: a directory, or a bucket that speaks S3.
//!
//! ```text
//! format                                        that this is a store, and which one
//! secret                                        what links are signed with
//! blobs/<digest>                                an archive, once
//! trash/<digest>.<who>                          one that is about to be removed
//! layers/<region>/<account>/<name>/versions/<n> a version, as it was published
//!                                 /deleted/<n>  that it is gone, and since when
//!                                 /policy/<n>/<revision>
//! ```
//!
//! All state is objects that are created once and whose bytes never change: nobody waits for anybody, a process may end at any moment, and
//! any number of processes share a store without a database. Numbers rise by one, so the highest is found by asking whether the
//! next one is there; who creates an object first has its number. A version stays after it is deleted, which is how a number is
//! never used again; only an archive that nothing needs is ever removed.
//!
//! Nothing here needs a runtime where the store is a directory: then [`Store::block_on`] starts no thread.

mod blobs;
#[cfg(feature = "s3")]
pub(super) mod bucket;
mod error;
mod garbage;
mod judge;
mod local;
mod location;
mod open;
mod policies;
mod shapes;
mod versions;

pub use blobs::{Archive, Spool};
pub use error::StoreError;
pub use garbage::{Collected, Sweep};
pub use judge::Unpublishable;
pub use location::Location;
pub use open::{Store, new_uuid, now};
pub use versions::Page;
