//! What a client may ask about a database: a position, its pages, and what changed since another one.
//!
//! Files are never changed once they are there, so whatever is looked up here stays right without a
//! lock while they are read. When a file was removed meanwhile, because a merged one replaces it, the
//! list of files is read again.

use std::sync::Arc;
use std::time::Duration;

use litevfs::types::{Pgno, Pos};

use super::database::Database;
use super::view::View;
use crate::store::bucket::error::Error;

/// More changed pages than this, and a client had better drop its whole cache.
const MAX_CHANGED: usize = 10_000;
/// How often the list of files is read again because one of them is gone.
pub(in crate::store) const RELOADS: usize = 4;
/// What changed between a client's position and the current one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Changes {
    /// Nothing: it is the current position.
    Nothing,
    /// These pages, ascending.
    Pages(Vec<Pgno>),
    /// Too many to tell, or pages are gone; by commits alone.
    Many,
    /// That cannot be told, or it was not by commits alone, and the pages do not say so.
    All,
}

impl Database {
    /// The database at a position, or at the current one.
    pub async fn view(&self, pos: Option<Pos>) -> Result<View, Error> {
        let mut looked = !self.objects.is_shared();
        for _ in 0..RELOADS {
            match self.try_view(pos).await {
                // Another server may know more by now, or have merged files and removed them.
                Err(Error::PosMismatch(_)) if !looked => self.look(Duration::ZERO).await?,
                Err(Error::Gone(_)) => self.reload_at(pos).await?,
                done => return done,
            }
            looked = true;
        }
        self.try_view(pos).await
    }

    async fn try_view(&self, pos: Option<Pos>) -> Result<View, Error> {
        let (plan, current) = {
            let mut state = self.state.write();
            let current = state.tip.pos;
            let wanted = pos.unwrap_or(current);
            if wanted.txid > current.txid || wanted.is_empty() {
                return Err(Error::PosMismatch(current));
            }
            let plan = if wanted.txid == current.txid {
                state.plan()
            } else {
                state.files.plan(wanted.txid).map(Arc::from)
            };
            (plan, current)
        };
        let Some(plan) = plan else {
            return Err(match pos {
                Some(pos) if pos.txid != current.txid => Error::PosMismatch(current),
                _ => Error::corrupt(&self.db, "files with transactions in the middle are missing"),
            });
        };
        let view = View::new(&self.objects, &self.indexes, &self.db, &plan).await?;
        if pos.is_some_and(|pos| !pos.agrees(view.pos)) {
            return Err(Error::PosMismatch(current));
        }
        Ok(view)
    }

    /// The pages of a position, in the order asked for.
    #[cfg(test)]
    pub async fn pages(&self, pos: Pos, pgnos: &[Pgno]) -> Result<Vec<Vec<u8>>, Error> {
        let view = self.view(Some(pos)).await?;
        self.pages_of(&view, pgnos).await
    }

    /// The pages of a view, in the order asked for; from other files if its own were removed.
    pub async fn pages_of(&self, view: &View, pgnos: &[Pgno]) -> Result<Vec<Vec<u8>>, Error> {
        let mut pages = view.pages(&self.objects, &self.db, pgnos).await;
        for _ in 0..RELOADS {
            if !matches!(pages, Err(Error::Gone(_))) {
                break;
            }
            self.reload_at(Some(view.pos)).await?;
            let view = self.view(Some(view.pos)).await?;
            pages = view.pages(&self.objects, &self.db, pgnos).await;
        }
        pages
    }

    /// The current position, and what changed since another one.
    pub async fn changes(&self, since: Pos) -> Result<(Pos, Changes), Error> {
        for _ in 0..RELOADS {
            match self.try_changes(since).await {
                Err(Error::Gone(_)) => self.reload().await?,
                done => return done,
            }
        }
        self.try_changes(since).await
    }

    async fn try_changes(&self, since: Pos) -> Result<(Pos, Changes), Error> {
        let (pos, then, cover) = {
            let state = self.state.read();
            let pos = state.tip.pos;
            if since.agrees(pos) {
                return Ok((pos, Changes::Nothing));
            }
            let then = state.files.ending_at(since.txid).copied();
            (pos, then, state.files.cover(since.txid, pos.txid))
        };
        let (Some(then), Some(cover)) = (then, cover) else {
            return Ok((pos, Changes::All));
        };
        let then = self.index(&then).await?;
        if !then.pos().agrees(since) {
            return Ok((pos, Changes::All));
        }
        let (mut commit, mut changed, mut is_told) = (then.commit, Vec::new(), true);
        for file in cover {
            let index = self.index(&file).await?;
            // Pages of another size have nothing to do with these.
            if index.marks.is_break || index.page_size != then.page_size {
                return Ok((pos, Changes::All));
            }
            // Pages that went away, for good or not, are not worth telling.
            is_told &= index.commit >= commit
                && changed.len().saturating_add(index.len()) <= MAX_CHANGED.saturating_mul(8);
            commit = index.commit;
            if is_told {
                changed.extend(index.pgnos());
            }
        }
        changed.sort_unstable();
        changed.dedup();
        is_told &= changed.len() <= MAX_CHANGED;
        Ok((pos, if is_told { Changes::Pages(changed) } else { Changes::Many }))
    }
}
