//! Tests of the counters.

use super::*;

fn assert_line(metrics: &Metrics, line: &str) {
    let text = metrics.text();
    assert!(text.lines().any(|found| found == line), "no {line:?} in\n{text}");
}

#[test]
fn what_happened_is_in_the_text() {
    let metrics = Metrics::default();
    let same = metrics.clone();
    same.request("/pos", 200, Duration::from_millis(2));
    same.commit(100);
    same.commit(23);
    same.store_request("put", false, Duration::from_secs(1));
    same.cache_hit(Cache::Disk);
    same.cache_miss(Cache::Disk);
    same.cache_bytes(Cache::Index, u64::MAX);
    same.compaction(2, 7);
    same.leases_live(3);
    for line in [
        "litevfs_cloud_requests_total{call=\"/pos\",status=\"200\"} 1",
        "litevfs_cloud_request_seconds_bucket{le=\"0.001\",call=\"/pos\"} 0",
        "litevfs_cloud_request_seconds_bucket{le=\"0.0025\",call=\"/pos\"} 1",
        "litevfs_cloud_commits_total 2",
        "litevfs_cloud_commit_bytes_total 123",
        "litevfs_cloud_store_requests_total{op=\"put\",outcome=\"error\"} 1",
        "litevfs_cloud_cache_lookups_total{cache=\"disk\",result=\"miss\"} 1",
        "litevfs_cloud_cache_bytes{cache=\"index\"} 9223372036854775807",
        "litevfs_cloud_compactions_total{level=\"2\"} 1",
        "litevfs_cloud_compaction_bytes_total{level=\"2\"} 7",
        "litevfs_cloud_leases_live 3",
    ] {
        assert_line(&metrics, line);
    }
    assert!(metrics.text().ends_with("# EOF\n"));
}

#[test]
fn what_is_under_way_is_counted_until_it_ends() {
    let metrics = Metrics::default();
    let (one, two) = (metrics.in_flight(), metrics.in_flight());
    assert_line(&metrics, "litevfs_cloud_requests_in_flight 2");
    drop((one, two));
    assert_line(&metrics, "litevfs_cloud_requests_in_flight 0");
}
