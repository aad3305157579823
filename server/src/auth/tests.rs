//! Tests of who is let in.

use super::*;

fn auth() -> Auth {
    let scoped = Some("one".parse().unwrap());
    let tokens = [("FlyV1 all", None), ("scoped", scoped)];
    let tokens = tokens.map(|(secret, scope)| Token::given(secret, secret, scope).unwrap());
    Auth::new(tokens.into()).unwrap()
}

fn headers(authorization: Option<&str>) -> HeaderMap {
    let value = authorization.map(|text| HeaderValue::from_str(text).unwrap());
    value.into_iter().map(|value| (header::AUTHORIZATION, value)).collect()
}

fn cluster(auth: &Auth, header: Option<&str>, asked: Option<&str>) -> Option<String> {
    let headers = headers(header);
    auth.caller(&headers).cluster(asked, &headers).ok().map(|name| name.to_string())
}

fn refusal(auth: &Auth, header: Option<&str>) -> Option<Refusal> {
    auth.caller(&headers(header)).token().err()
}

#[test]
fn a_token_counts_as_given_and_as_bearer() {
    let auth = auth();
    for header in ["FlyV1 all", "Bearer FlyV1 all", "bearer  FlyV1 all"] {
        assert_eq!(cluster(&auth, Some(header), None).as_deref(), Some("default"), "{header}");
    }
    for header in ["", "all", "FlyV1 al", "FlyV1 alll", "Bearer all", "Bearer ", "cluster default"]
    {
        assert_eq!(refusal(&auth, Some(header)), Some(Refusal::Unknown), "{header}");
    }
    assert_eq!(refusal(&auth, None), Some(Refusal::Missing));
}

#[test]
fn a_scoped_token_reaches_its_cluster_only() {
    let auth = auth();
    let token = Some("scoped");
    assert_eq!(cluster(&auth, token, None).as_deref(), Some("one"));
    assert_eq!(cluster(&auth, token, Some("one")).as_deref(), Some("one"));
    assert_eq!(cluster(&auth, token, Some("two")), None);
    assert_eq!(cluster(&auth, Some("FlyV1 all"), Some("two")).as_deref(), Some("two"));
    assert_eq!(cluster(&auth, Some("FlyV1 all"), Some("../x")), None);
}

#[test]
fn without_tokens_the_header_may_name_the_cluster() {
    let auth = Auth::default();
    assert_eq!(cluster(&auth, None, None).as_deref(), Some("default"));
    assert_eq!(cluster(&auth, Some("whatever"), None).as_deref(), Some("default"));
    assert_eq!(cluster(&auth, Some("cluster one"), None).as_deref(), Some("one"));
    assert_eq!(cluster(&auth, Some("cluster one"), Some("two")).as_deref(), Some("two"));
    assert_eq!(cluster(&auth, Some("cluster .one"), None), None);
}

#[test]
fn repeated_tokens_are_refused() {
    let twice = ["a", "b"].map(|id| Token::given(id, "same", None).unwrap());
    assert!(Auth::new(twice.into()).is_err());
}

#[test]
fn a_file_of_tokens_closes_the_server_even_when_it_is_empty() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("tokens");
    assert!(Auth::default().with_file(path.clone()).is_err());
    std::fs::write(&path, "").unwrap();
    let auth = Auth::default().with_file(path).unwrap();
    assert!(!auth.is_open());
    assert_eq!(refusal(&auth, None), Some(Refusal::Missing));
    assert_eq!(refusal(&auth, Some("cluster one")), Some(Refusal::Unknown));
}

#[test]
fn an_expired_token_is_told_apart_from_an_unknown_one() {
    let mut token = Token::given("a", "secret", None).unwrap();
    token.expires = Some(Utc::now());
    let auth = Auth::new(vec![token.clone()]).unwrap();
    assert_eq!(refusal(&auth, Some("secret")), Some(Refusal::Expired));
    token.expires = Some(Utc::now() + chrono::TimeDelta::days(1));
    let auth = Auth::new(vec![token]).unwrap();
    assert_eq!(refusal(&auth, Some("secret")), None);
}
