//! Every call, asked well and badly: what its answer says of caches.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::http::{Method, Request, StatusCode};
use axum::response::Response;
use tower::ServiceExt;

use crate::app::App;
use crate::auth::{Auth, Token};
use crate::health::Health;
use crate::limits::Limits;
use crate::metrics::Metrics;
use crate::regrant::Grants;
use crate::routes::{Origins, calls, router, turn_away};
use crate::store::Store;
use crate::store::compact::Schedule;
use crate::store::location::{Location, Settings, Taken};
use crate::turns::Turns;

const NOTHING: &str = "no-store";
const LASTING: &str = "private, max-age=86400, immutable";
/// The page's own files: asked about each time, and no secret.
const OWN: &str = "no-cache";

struct World {
    app: Arc<App>,
    _taken: Taken,
    _dir: tempfile::TempDir,
}

async fn world() -> World {
    let dir = tempfile::tempdir().unwrap();
    let location = Location::Directory(dir.path().join("data"));
    let schedule = Schedule::default();
    let (disk_cache, index_memory, database_memory) = (0, 0, 1 << 20);
    let settings =
        Settings { location, scratch: None, disk_cache, index_memory, database_memory, schedule };
    let metrics = Metrics::default();
    let taken = settings.location.take(&settings, &metrics).unwrap();
    let store = Store::open_store(taken.objects.clone(), &settings, metrics.clone()).await.unwrap();
    let app = App {
        store,
        auth: Auth::new(vec![Token::given("t", "t0", None).unwrap()]).unwrap(),
        limits: Limits::new(64, None),
        grants: Grants::default(),
        turns: Turns::default(),
        metrics,
        metrics_public: false,
        health: Health::default(),
        max_body: 1 << 20,
        max_import: 1 << 20,
        instance_id: "i".parse().unwrap(),
    };
    World { app: Arc::new(app), _taken: taken, _dir: dir }
}

fn request(method: &Method, target: &str, token: Option<&str>, body: Vec<u8>) -> Request<Body> {
    let mut request = Request::builder().method(method).uri(target);
    if let Some(token) = token {
        request = request.header("Authorization", token);
    }
    request.body(body.into()).unwrap()
}

async fn ask(router: &Router, request: Request<Body>) -> Response {
    router.clone().oneshot(request).await.unwrap()
}

/// What an answer says of caches, once.
fn said(answer: &Response) -> &str {
    let all: Vec<_> = answer.headers().get_all("cache-control").iter().collect();
    assert_eq!(all.len(), 1, "{answer:?}");
    all[0].to_str().unwrap()
}

fn runs<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work)
}

#[test]
fn every_call_forbids_keeping_its_answer() {
    runs(async {
        let world = world().await;
        let page = Origins::Listed(vec!["https://a.example".parse().unwrap()]);
        let with_pages = router(Arc::clone(&world.app), &page);
        let without = router(Arc::clone(&world.app), &Origins::Listed(Vec::new()));
        let methods =
            [Method::GET, Method::POST, Method::DELETE, Method::HEAD, Method::OPTIONS, Method::PUT];
        let paths = calls().map(|(path, _)| path.replace("{file}", "main.js"));
        let mut statuses = std::collections::BTreeSet::new();
        for path in paths.iter().map(String::as_str).chain(["/page/none", "/none"]) {
            for method in &methods {
                for token in [Some("t0"), Some("wrong"), None] {
                    for query in ["", "?db=a&cluster=c"] {
                        let target = format!("{path}{query}");
                        for router in [&without, &with_pages] {
                            let asked = request(method, &target, token, Vec::new());
                            let answer = ask(router, asked).await;
                            let is_read = [Method::GET, Method::HEAD].contains(method);
                            let own = is_read && ["/", "/page/main.js"].contains(&path);
                            let expected = if own { OWN } else { NOTHING };
                            assert_eq!(said(&answer), expected, "{method} {target}");
                            statuses.insert(answer.status().as_u16());
                        }
                    }
                }
            }
        }
        // Not all of them the same refusal.
        let all = [200, 201, 400, 401, 404, 405];
        assert!(all.iter().all(|status| statuses.contains(status)), "{statuses:?}");
        let mut preflight = request(&Method::OPTIONS, "/pos", None, Vec::new());
        for (name, value) in
            [("origin", "https://a.example"), ("access-control-request-method", "GET")]
        {
            preflight.headers_mut().insert(name, value.parse().unwrap());
        }
        let answer = ask(&with_pages, preflight).await;
        assert_eq!((answer.status(), said(&answer)), (StatusCode::OK, NOTHING));
        let away = turn_away(Arc::clone(&world.app));
        for path in ["/healthz", "/pos"] {
            let answer = ask(&away, request(&Method::GET, path, None, Vec::new())).await;
            assert_eq!(said(&answer), NOTHING, "{path}");
        }
    });
}

#[test]
fn pages_at_a_position_may_be_kept_by_who_asked() {
    runs(async {
        let world = world().await;
        let router = router(Arc::clone(&world.app), &Origins::Listed(Vec::new()));
        let file = tempfile::NamedTempFile::new().unwrap();
        let db = rusqlite::Connection::open(file.path()).unwrap();
        db.execute_batch("CREATE TABLE t (x)").unwrap();
        db.close().unwrap();
        let bytes = std::fs::read(file.path()).unwrap();
        let upload = request(&Method::POST, "/db/upload?db=a", Some("t0"), bytes);
        assert_eq!(ask(&router, upload).await.status(), StatusCode::OK);
        let get = async |target: &str, token, accept: &str| {
            let mut asked = request(&Method::GET, target, token, Vec::new());
            asked.headers_mut().insert("accept", accept.parse().unwrap());
            ask(&router, asked).await
        };
        let (frames, json) = ("application/vnd.litevfs.pages", "*/*");
        let of_txid = "/db/page?db=a&pgno=1&txid=0000000000000001";
        let answer = get(of_txid, Some("t0"), json).await;
        // Another transaction may bear that number one day, when the database is dropped.
        assert_eq!((answer.status(), said(&answer)), (StatusCode::OK, NOTHING));
        let header = |name: &str| answer.headers()[name].to_str().unwrap();
        let (pos, commit_id) = (header("litevfs-pos"), header("litevfs-commit-id"));
        let at = format!("/db/page?db=a&pos={pos}&commit_id={commit_id}&pgno=");
        for accept in [frames, json] {
            let answer = get(&format!("{at}1,2"), Some("t0"), accept).await;
            assert_eq!((answer.status(), said(&answer)), (StatusCode::OK, LASTING));
            // Whoever keeps it gives it to nobody with another token, nor in another form.
            assert_eq!(answer.headers()["vary"], "accept, authorization");
        }
        let now = "/db/page?db=a&pgno=1&timestamp=now";
        for (target, token) in [
            (now, Some("t0")),
            // Another commit may be at that position one day, when the database is dropped.
            (&format!("/db/page?db=a&pos={pos}&pgno=1"), Some("t0")),
            (&format!("{at}9"), Some("t0")),
            (&format!("{at}1"), None),
            (&format!("{at}1&db=b"), Some("wrong")),
            (&format!("/db/snapshot?db=a&pos={pos}"), Some("t0")),
            (&format!("/db/sync?db=a&pos={pos}"), Some("t0")),
            (&format!("/db/open?db=a&pos={pos}"), Some("t0")),
        ] {
            assert_eq!(said(&get(target, token, frames).await), NOTHING, "{target}");
        }
    });
}
