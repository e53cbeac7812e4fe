//! What all requests share.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::sync::Semaphore;

use super::keys::Keys;
use super::links::Links;
use super::objects::Objects;
use crate::host::store::Store;
use crate::host::system::budget::Budget;
use crate::registry::Caller;

/// How this server calls itself.
pub(super) const PRODUCT: &str = concat!("slashopt/", env!("CARGO_PKG_VERSION"));

/// What all requests share.
#[derive(Debug)]
pub(super) struct Registry {
    pub(super) store: Store,
    pub(super) links: Links,
    pub(super) keys: Keys,
    pub(super) anybody: Caller,
    pub(super) public_url: Option<String>,
    pub(super) objects: Objects,
    pub(super) address: SocketAddr,
    pub(super) budget: Arc<Budget>,
    pub(super) uploads: Semaphore,
    pub(super) publications: Semaphore,
}
