//! Proves, before the first request, that an object store does what commits depend on.
//!
//! A commit is a file that is made only if there is none. A store that ignores the condition would lose
//! commits without a word, so several creations of one name are tried at the same time, small and large,
//! and exactly one may win. Claims change hands by a put on a version: an old version must not do.

use bytes::Bytes;
use futures_util::future::join_all;
use object_store::{
    ObjectStore, ObjectStoreExt, PutMode, RenameOptions, RenameTargetMode, UpdateVersion,
};

use super::reads::{Objects, fresh_name};
use crate::store::bucket::error::{Error, is_full};
use crate::store::bucket::layout;

/// How many try to make the same file.
const RIVALS: usize = 8;
/// How often a proof is tried that neither fails nor holds.
const TRIES: u32 = 3;

const ADVICE: &str = "commits would be lost; use a store with conditional writes";

/// Proves the store fit, and returns its id, which is made when it has none.
pub(in crate::store) async fn prove(objects: &Objects) -> Result<String, Error> {
    match create_id(objects).await.map_err(|error| explain(objects, error)) {
        // Then it takes no commits, and what is there can be read.
        Err(error) if is_full(&error) => {
            tracing::warn!("the disk is full: commits fail until there is room on it");
        }
        made => made?,
    }
    let id = objects.get(&layout::id()).await?.unwrap_or_default();
    Ok(String::from_utf8_lossy(&id).into_owned())
}

/// Says what to do about a bucket that cannot be used.
fn explain(objects: &Objects, error: Error) -> Error {
    if !objects.is_shared() {
        return error;
    }
    let what = match &error {
        Error::Gone(_) => "there is no such bucket: make it first".to_owned(),
        Error::Objects(
            object_store::Error::PermissionDenied { .. }
            | object_store::Error::Unauthenticated { .. },
        ) => format!("it refuses these credentials: check them ({})", message(&error)),
        Error::Objects(_) if error.to_string().contains(METADATA_SERVICE) => {
            "there are no credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY".to_owned()
        }
        Error::Objects(_) => {
            let hint = "is it there, and are the endpoint and the region right (AWS_ENDPOINT_URL, AWS_REGION)?";
            format!("it does not answer as it should: {hint} ({})", message(&error))
        }
        _ => return error,
    };
    Error::Unfit { store: objects.name().to_owned(), what }
}

/// Where credentials are looked for when there are none.
const METADATA_SERVICE: &str = "169.254.169.254";

/// What a store says in its error document, or else the error's first line.
fn message(error: &Error) -> String {
    let text = error.to_string();
    let told = text.split_once("<Message>").and_then(|(_, rest)| rest.split_once("</Message>"));
    let told = told.map(|(told, _)| told).or_else(|| text.lines().next());
    told.unwrap_or_default().to_owned()
}

async fn create_id(objects: &Objects) -> Result<(), Error> {
    let fresh = crate::random::hex::<8>()?;
    if objects.get(&layout::id()).await?.is_none() {
        objects.create_small(&layout::id(), fresh.clone()).await?;
    }
    if objects.create_small(&layout::id(), fresh).await? {
        return Err(unfit(objects, "replaces files that it was told not to replace"));
    }
    if !objects.is_shared() {
        return Ok(());
    }
    let mut tries = TRIES;
    loop {
        tries = tries.saturating_sub(1);
        match prove_shared(objects).await {
            Err(error @ (Error::Objects(_) | Error::Gone(_))) if tries > 0 => {
                tracing::warn!(%error, "trying the store again");
            }
            done => return done,
        }
    }
}

fn unfit(objects: &Objects, what: &str) -> Error {
    Error::Unfit { store: objects.name().to_owned(), what: format!("the store {what}: {ADVICE}") }
}

async fn prove_shared(objects: &Objects) -> Result<(), Error> {
    let name = layout::proof().join(fresh_name()?);
    let staged: Vec<_> = (0..2)
        .map(|n| layout::proof().join(format!("{}-{n}", name.filename().unwrap_or_default())))
        .collect();
    let large = layout::proof().join(format!("{}-large", name.filename().unwrap_or_default()));
    let done = async {
        prove_puts(objects, &name).await?;
        prove_versions(objects, &name).await?;
        for path in &staged {
            objects.store.put(path, "staged".into()).await?;
        }
        let options = || RenameOptions::new().with_target_mode(RenameTargetMode::Create);
        let moves = staged.iter().map(|from| objects.store.rename_opts(from, &large, options()));
        let won = join_all(moves).await.into_iter().filter(Result::is_ok).count();
        if won == 1 {
            Ok(())
        } else {
            Err(unfit(objects, "does not move a file only if its place is free"))
        }
    };
    let done = done.await;
    let leftovers = staged.into_iter().chain([name, large]).collect();
    let removed = objects.remove(leftovers).await;
    done.and(removed)
}

/// Several creations at the same time: one wins, and what it wrote is there.
async fn prove_puts(objects: &Objects, path: &object_store::path::Path) -> Result<(), Error> {
    let creations = (0..RIVALS).map(async |rival| {
        objects.create_small(path, rival.to_string()).await.map(|made| made.then_some(rival))
    });
    let outcomes = join_all(creations).await;
    let winners: Vec<usize> = outcomes.iter().filter_map(|o| *o.as_ref().ok()?).collect();
    if let [winner] = winners.as_slice() {
        let there = objects.get(path).await?;
        if there == Some(Bytes::from(winner.to_string())) {
            return Ok(());
        }
    }
    match outcomes.into_iter().find_map(Result::err) {
        // With an answer missing it is not known who won.
        Some(error) if winners.len() < 2 => Err(error),
        _ => Err(unfit(objects, "lets several writers make the same file")),
    }
}

/// A put on a version that is not the current one must fail.
async fn prove_versions(objects: &Objects, path: &object_store::path::Path) -> Result<(), Error> {
    let version: UpdateVersion = {
        let meta = objects.store.head(path).await?;
        UpdateVersion { e_tag: meta.e_tag, version: meta.version }
    };
    let put = async |text: &'static str| {
        let mode = PutMode::Update(version.clone());
        objects.store.put_opts(path, text.into(), mode.into()).await
    };
    put("second").await?;
    match put("third").await {
        Err(object_store::Error::Precondition { .. }) => Ok(()),
        Err(error) => Err(error.into()),
        Ok(_) => Err(unfit(objects, "writes over another version than it was told to")),
    }
}
