//! What there is at the moment, for the metrics: counted when somebody looks.

use std::time::Instant;

use super::shelf::Shelf;

impl Shelf {
    /// Sets the gauges of open databases and of leases that this server granted. What is in use just
    /// now is passed over rather than waited for, if only for one look.
    pub(in crate::store) fn gauge(&self) {
        let now = Instant::now();
        let (mut open, mut granted) = (0_usize, 0_usize);
        for slot in self.slots.all() {
            let is_open = slot.database.try_lock().is_ok_and(|database| database.is_some());
            let lease = slot.lease.try_lock();
            let is_granted = lease.is_ok_and(|lease| {
                lease.as_ref().is_some_and(|lease| lease.left(now.into()).is_some())
            });
            open = open.saturating_add(usize::from(is_open));
            granted = granted.saturating_add(usize::from(is_granted));
        }
        self.metrics.databases_open(open);
        self.metrics.leases_live(granted.saturating_add(self.leases.live(now)));
    }
}
