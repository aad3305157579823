use super::*;
use alloc::vec::Vec;

const PLAIN: Bounds =
    Bounds { max_extra: 32, bulk_pages: 0, room_pages: u32::MAX, is_line_busy: false };
const BULK: Bounds = Bounds { bulk_pages: 65_536, ..PLAIN };

fn planned(prefetch: &mut Prefetch, pgno: u32, commit: u32, bounds: Bounds) -> Plan {
    let size = PageSize::new(4096).unwrap();
    prefetch.plan(Pgno::new(pgno).unwrap(), commit, size, bounds, |_| false)
}

fn asked(prefetch: &mut Prefetch, pgno: u32, bounds: Bounds) -> Vec<u32> {
    planned(prefetch, pgno, 1000, bounds).pages.iter().map(Pgno::get).collect()
}

/// Reads pages in an order, each missing one fetched with what the plan adds; answers how many requests
/// that took, and how many pages came.
fn read(commit: u32, bounds: Bounds, pgnos: impl Iterator<Item = u32>) -> (u32, usize) {
    let size = PageSize::new(4096).unwrap();
    let (mut prefetch, mut requests, mut pages) = (Prefetch::default(), 0, 0);
    let mut cached = alloc::vec![false; commit as usize + 2];
    for pgno in pgnos {
        if cached[pgno as usize] {
            continue;
        }
        let pgno = Pgno::new(pgno).unwrap();
        let plan = prefetch.plan(pgno, commit, size, bounds, |pgno| cached[pgno.get() as usize]);
        assert_eq!(plan.pages.first(), Some(pgno));
        for page in plan.pages.iter() {
            assert!(page.get() <= commit);
            assert!(!core::mem::replace(&mut cached[page.get() as usize], true), "twice");
        }
        requests += 1;
        pages += plan.pages.len_pages();
    }
    (requests, pages)
}

/// So many numbers below a bound that look random.
fn scattered(count: u32, below: u32) -> impl Iterator<Item = u32> {
    let mut state = 7_u64;
    (0..count).map(move |_| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 33) as u32 % below + 1
    })
}

#[test]
fn a_look_up_fetches_single_pages() {
    for bounds in [PLAIN, BULK] {
        let mut prefetch = Prefetch::default();
        for pgno in [500, 77] {
            assert_eq!(asked(&mut prefetch, pgno, bounds), [pgno]);
        }
    }
}

#[test]
fn a_scan_widens_its_window_up_to_the_limit() {
    let mut prefetch = Prefetch::default();
    let five = Bounds { max_extra: 5, ..PLAIN };
    assert_eq!(asked(&mut prefetch, 10, five), [10]);
    assert_eq!(asked(&mut prefetch, 11, five), [11, 12, 13, 14, 15, 16]);
    assert_eq!(asked(&mut prefetch, 17, five), [17, 18, 19, 20, 21, 22]);
    assert_eq!(asked(&mut prefetch, 999, five), [999]);
}

#[test]
fn a_scan_goes_over_to_bulk() {
    let mut prefetch = Prefetch::default();
    let plans = [10, 11, 27, 539].map(|pgno| planned(&mut prefetch, pgno, 23_000, BULK));
    assert_eq!(plans.each_ref().map(|plan| plan.pages.len_pages()), [1, 16, 512, 22_462]);
    assert_eq!(plans.each_ref().map(|plan| plan.is_bulk), [false, false, true, true]);
    assert_eq!(plans.map(|plan| plan.is_endless), [false, false, false, true]);
}

#[test]
fn bulk_has_a_limit_of_its_own() {
    let little = Bounds { bulk_pages: 100, ..PLAIN };
    let mut prefetch = Prefetch::default();
    let lens = [10, 11, 27, 127, 227].map(|pgno| asked(&mut prefetch, pgno, little).len());
    assert_eq!(lens, [1, 16, 100, 100, 100]);
    // What is no more than the ordinary windows is not worth it.
    let less = Bounds { bulk_pages: 20, ..PLAIN };
    let mut prefetch = Prefetch::default();
    let lens = [10, 11, 27, 60].map(|pgno| asked(&mut prefetch, pgno, less).len());
    assert_eq!(lens, [1, 16, 33, 33]);
}

#[test]
fn scattered_misses_widen_the_window() {
    let _time = crate::sys::VirtualTime::start();
    for (bounds, expected) in
        [(PLAIN, [1, 1, 6, 36, 132, 132, 132]), (BULK, [1, 1, 6, 36, 216, 1000, 1000])]
    {
        let mut prefetch = Prefetch::default();
        let miss = |at| planned(&mut prefetch, [9, 990, 300, 600, 100, 500, 700][at], 1000, bounds);
        let lens = [0, 1, 2, 3, 4, 5, 6].map(miss).map(|plan| plan.pages.len_pages());
        assert_eq!(lens, expected);
        // Also in the next query, but not a run.
        prefetch.start_query();
        assert!(asked(&mut prefetch, 50, bounds).len() >= 132);
    }
}

#[test]
fn a_while_later_look_ups_are_single_again() {
    let _time = crate::sys::VirtualTime::start();
    let mut prefetch = Prefetch::default();
    for pgno in [9, 990, 300, 600] {
        asked(&mut prefetch, pgno, BULK);
    }
    crate::sys::VirtualTime::advance(MAX_PAUSE_MS + 1);
    assert_eq!(asked(&mut prefetch, 50, BULK), [50]);
}

#[test]
fn windows_of_scattered_misses_cost_what_was_waited_before() {
    let _time = crate::sys::VirtualTime::start();
    let mut prefetch = Prefetch::default();
    for pgno in [90, 99_000, 300, 600] {
        planned(&mut prefetch, pgno, 100_000, BULK);
        prefetch.note_answer(100, 100);
    }
    let mut next = |pgno| planned(&mut prefetch, pgno, 100_000, BULK).pages.len_pages();
    assert_eq!([next(7_000), next(17_000), next(27_000)], [216, 400, 400]);
}

#[test]
fn two_hundred_look_ups_take_a_dozen_requests() {
    let _time = crate::sys::VirtualTime::start();
    let (requests, pages) = read(23_179, BULK, scattered(200, 18_000));
    assert!(requests <= 11, "{requests}");
    assert!(pages <= 21_000, "{pages}: not the index behind the table");
    let (requests, _) = read(23_179, BULK, scattered(10, 18_000));
    assert!(requests >= 7, "{requests}: few look-ups do not fetch it all");
}

#[test]
fn a_whole_scan_takes_few_requests() {
    assert_eq!(read(23_179, BULK, 1..=23_179).0, 4);
    let (requests, _) = read(23_179, PLAIN, 1..=23_179);
    assert!(requests < 64, "{requests}");
}

#[test]
fn a_small_database_comes_as_a_whole() {
    let mut prefetch = Prefetch::default();
    let plan = planned(&mut prefetch, 7, 64, BULK);
    assert_eq!((plan.pages.len_pages(), plan.is_bulk), (64, true));
    assert_eq!(planned(&mut Prefetch::default(), 7, 65, BULK).pages.len_pages(), 1);
    let tight = Bounds { room_pages: 63, ..BULK };
    assert_eq!(planned(&mut Prefetch::default(), 7, 64, tight).pages.len_pages(), 1);
}

#[test]
fn zero_means_no_prefetch() {
    for bounds in [PLAIN, BULK].map(|bounds| Bounds { max_extra: 0, ..bounds }) {
        for commit in [20, 1000] {
            let mut prefetch = Prefetch::default();
            for pgno in (1..20).chain(scattered(20, 20)) {
                let plan = planned(&mut prefetch, pgno, commit, bounds);
                assert_eq!((plan.pages.len_pages(), plan.is_bulk), (1, false));
            }
        }
    }
}

#[test]
fn windows_fit_into_the_room() {
    let tight = Bounds { room_pages: 50, ..BULK };
    let mut prefetch = Prefetch::default();
    for pgno in scattered(50, 23_000) {
        let plan = planned(&mut prefetch, pgno, 23_000, tight);
        assert!(plan.pages.len_pages() <= 50 || plan.is_endless);
    }
}

#[test]
fn look_ups_all_over_more_than_there_is_room_for_stay_single() {
    let _time = crate::sys::VirtualTime::start();
    for (room_pages, stay_single) in [(1000, true), (12_000, false)] {
        let room = Bounds { room_pages, ..BULK };
        let mut prefetch = Prefetch::default();
        let lens = [90, 19_000, 300, 600, 7_000, 18_000, 2_000]
            .map(|pgno| planned(&mut prefetch, pgno, 23_000, room).pages.len_pages());
        assert_eq!(lens == [1; 7], stay_single, "{lens:?}");
    }
}

#[test]
fn a_run_survives_a_miss_elsewhere() {
    let mut prefetch = Prefetch::default();
    let five = Bounds { max_extra: 5, ..PLAIN };
    for (pgno, len) in [(10, 1), (11, 6), (500, 1), (17, 6), (700, 6), (23, 6)] {
        assert_eq!(asked(&mut prefetch, pgno, five).len(), len, "page {pgno}");
    }
}

#[test]
fn a_run_goes_on_past_pages_of_others() {
    // Windows of a page, 16 and then 33: the gaps after them are of 1, 2 and 3 pages.
    let mut prefetch = Prefetch::default();
    let lens = [10, 12, 30, 66, 103].map(|pgno| asked(&mut prefetch, pgno, PLAIN).len());
    assert_eq!(lens[..4], [1, 16, 33, 33]);
    assert!(lens[4] < 33, "four pages are too many");
}

#[test]
fn a_scan_backwards_fetches_what_comes_before() {
    for bounds in [PLAIN, BULK] {
        let (requests, _) = read(20_000, bounds, (1..=20_000).rev());
        assert!(requests < 64, "{requests}");
    }
}

#[test]
fn small_pages_come_in_groups() {
    let size = PageSize::new(512).unwrap();
    let asked = |max_extra| {
        let bounds = Bounds { max_extra, ..PLAIN };
        let plan = Prefetch::default().plan(Pgno::new(50).unwrap(), 1000, size, bounds, |_| false);
        plan.pages.len_pages()
    };
    assert_eq!((asked(32), asked(2)), (8, 3));
}

#[test]
fn cached_pages_and_the_lock_page_are_left_out() {
    let run = Run { first: 262_140, end: 262_143, window_pages: 2, requests: 3 };
    let mut prefetch = Prefetch { runs: [Run::default(), run], scatter: Scatter::default() };
    let size = PageSize::new(4096).unwrap();
    let pgno = Pgno::new(262_143).unwrap();
    let bounds = Bounds { max_extra: 4, ..PLAIN };
    let plan = prefetch.plan(pgno, 300_000, size, bounds, |pgno| pgno.get() == 262_146);
    let pages: Vec<u32> = plan.pages.iter().map(Pgno::get).collect();
    assert_eq!(pages, [262_143, 262_144, 262_147]);
}

#[test]
fn a_request_has_so_many_ranges_at_most() {
    let mut prefetch = Prefetch::default();
    for pgno in [10, 11] {
        planned(&mut prefetch, pgno, 23_000, BULK);
    }
    let size = PageSize::new(4096).unwrap();
    let every_other = |pgno: Pgno| pgno.get().is_multiple_of(2);
    let plan = prefetch.plan(Pgno::new(27).unwrap(), 23_000, size, BULK, every_other);
    assert_eq!(plan.pages.len_ranges(), MAX_RANGES_PER_REQUEST);
}

#[test]
fn one_slow_answer_does_not_make_the_line_slow_for_good() {
    let _time = crate::sys::VirtualTime::start();
    let mut prefetch = Prefetch::default();
    let mut next = |pgno, pages, took_ms| {
        let len = planned(&mut prefetch, pgno, 100_000, BULK).pages.len_pages();
        prefetch.note_answer(pages, took_ms);
        len
    };
    // A server far away is no slow line.
    assert_eq!([next(90, 1, 300), next(99_000, 1, 300), next(300, 6, 300)], [1, 1, 6]);
    assert_eq!([next(50_000, 36, 300), next(20_000, 216, 2_000)], [36, 216]);
    assert_eq!(
        [next(70_000, 54, 27), next(80_000, 100, 1), next(85_000, 1, 1)],
        [54, 1_000, 46_656]
    );
}
