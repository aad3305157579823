//! Where the bytes of cached pages lie: slots of one page each, in a file or in memory.

use crate::sys;
use crate::types::PageSize;
use alloc::boxed::Box;
use alloc::vec::Vec;

/// Slots of one page each.
pub enum Storage {
    /// Slot n begins at n times the page size.
    File(sys::File),
    /// For a platform or a moment without a usable disk.
    Memory(Vec<Option<Box<[u8]>>>),
}

impl Storage {
    /// Storage without a file.
    pub fn memory() -> Storage {
        Storage::Memory(Vec::new())
    }

    /// Fills `page` from a slot; `false` when that fails.
    pub fn read(&self, slot: u32, page: &mut [u8], page_size: PageSize) -> bool {
        match self {
            Storage::File(file) => file.read_at(page, page_size.offset_of_slot(slot)).is_ok(),
            Storage::Memory(slots) => match slots.get(slot as usize) {
                Some(Some(stored)) if stored.len() == page.len() => {
                    page.copy_from_slice(stored);
                    true
                }
                _ => false,
            },
        }
    }

    /// Writes a slot; `false` when that fails.
    pub fn write(&mut self, slot: u32, page: &[u8], page_size: PageSize) -> bool {
        match self {
            Storage::File(file) => file.write_at(page, page_size.offset_of_slot(slot)).is_ok(),
            Storage::Memory(slots) => {
                let index = slot as usize;
                if index >= slots.len() {
                    slots.resize_with(index.saturating_add(1), || None);
                }
                if let Some(stored) = slots.get_mut(index) {
                    *stored = Some(page.into());
                }
                true
            }
        }
    }

    /// Gives up the slots from `slots` on.
    pub fn truncate(&mut self, slots: u32, page_size: PageSize) {
        match self {
            Storage::File(file) => {
                let _ = file.set_len(page_size.offset_of_slot(slots));
            }
            Storage::Memory(stored) => stored.truncate(slots as usize),
        }
    }
}
