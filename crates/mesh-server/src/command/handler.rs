//! Handlers, guards and hooks are the same thing: async functions of extractors.

use std::marker::PhantomData;

use futures_util::future::BoxFuture;
use serde::Serialize;

use super::{Command, FromCommand, Layered, RawJson, Reply};
use crate::error::{MeshError, Result};

/// An async function that answers a command. You need not name this trait; it is there so that functions fit.
#[diagnostic::on_unimplemented(
    message = "this function can't answer a command",
    note = "it must be an async fn of at most 8 extractors that returns `T` or `Result<T, E>`, where `T: Serialize` and `E: Into<MeshError>`"
)]
pub trait Handler<M, S>: Clone + Send + Sync + 'static {
    /// Answer.
    fn call(self, cmd: Command, state: S) -> BoxFuture<'static, Reply>;

    /// Put middleware in front of this handler alone. What is put last runs first.
    fn layer<W>(self, middleware: W) -> Layered<Self, W, M, S> {
        Layered { handler: self, middleware, marker: PhantomData }
    }
}

/// An async function that answers yes or no.
#[diagnostic::on_unimplemented(
    message = "this function can't be a guard",
    note = "it must be an async fn of at most 8 extractors that returns `bool`, `Result<bool, E>` or `Result<(), E>`, where `E: Into<MeshError>`"
)]
pub trait Guard<M, S>: Clone + Send + Sync + 'static {
    /// Yes is `Ok`.
    fn check(self, cmd: Command, state: S) -> BoxFuture<'static, Result<()>>;
}

/// An async function that is told that something happened.
#[diagnostic::on_unimplemented(
    message = "this function can't be a hook",
    note = "it must be an async fn of at most 8 extractors that returns `()` or `Result<(), E>`, where `E: Into<MeshError>`"
)]
pub trait Hook<M, S>: Clone + Send + Sync + 'static {
    /// Tell it. An error goes to the log and to [`on_error`](crate::Builder::on_error).
    fn run(self, cmd: Command, state: S) -> BoxFuture<'static, Result<()>>;
}

/// What a hook may return.
pub trait HookOutcome {
    /// Whether it did what it was there for.
    fn into_result(self) -> Result<()>;
}

impl HookOutcome for () {
    fn into_result(self) -> Result<()> {
        Ok(())
    }
}

impl<E: Into<MeshError>> HookOutcome for Result<(), E> {
    fn into_result(self) -> Result<()> {
        self.map_err(Into::into)
    }
}

/// What a guard may return.
pub trait IntoVerdict {
    /// Yes is `Ok`.
    fn into_verdict(self) -> Result<()>;
}

impl IntoVerdict for bool {
    fn into_verdict(self) -> Result<()> {
        if self { Ok(()) } else { Err(MeshError::forbidden("refused by a guard")) }
    }
}

impl<E: Into<MeshError>> IntoVerdict for Result<bool, E> {
    fn into_verdict(self) -> Result<()> {
        self.map_err(Into::into)?.into_verdict()
    }
}

impl<E: Into<MeshError>> IntoVerdict for Result<(), E> {
    fn into_verdict(self) -> Result<()> {
        self.map_err(Into::into)
    }
}

// Markers tell the shapes of an answer apart. `MeshError` isn't `Serialize`, so a `Result<T, MeshError>` can only be the
// second; nor is `RawJson`, so it can only be the third.
#[derive(Debug)]
pub enum ViaValue {}
#[derive(Debug)]
pub enum ViaResult {}
#[derive(Debug)]
pub enum ViaRaw {}

/// An answer that is JSON already.
pub trait IntoRaw {
    /// As it stands.
    fn into_raw(self) -> Reply;
}

impl IntoRaw for RawJson {
    fn into_raw(self) -> Reply {
        Ok(self.0)
    }
}

impl<E: Into<MeshError>> IntoRaw for Result<RawJson, E> {
    fn into_raw(self) -> Reply {
        self.map(|json| json.0).map_err(Into::into)
    }
}

fn encode<T: Serialize>(value: &T) -> Reply {
    let encoded = serde_json::to_vec(value);
    encoded.map(Into::into).map_err(|error| {
        tracing::error!(%error, "an answer could not be encoded");
        MeshError::new(mesh_proto::Code::Internal, "internal error")
    })
}

macro_rules! impl_callbacks {
    ($($ty:ident),*) => {
        #[diagnostic::do_not_recommend]
        #[allow(non_snake_case, unused_variables, reason = "one macro for every number of arguments")]
        impl<F, Fut, S, R, $($ty,)*> Handler<(ViaValue, $($ty,)*), S> for F
        where
            F: FnOnce($($ty),*) -> Fut + Clone + Send + Sync + 'static,
            Fut: Future<Output = R> + Send,
            R: Serialize,
            S: Clone + Send + Sync + 'static,
            $($ty: FromCommand<S> + Send,)*
        {
            fn call(self, cmd: Command, state: S) -> BoxFuture<'static, Reply> {
                Box::pin(async move {
                    $(let $ty = $ty::from_command(&cmd, &state).await?;)*
                    encode(&self($($ty),*).await)
                })
            }
        }

        #[diagnostic::do_not_recommend]
        #[allow(non_snake_case, unused_variables, reason = "one macro for every number of arguments")]
        impl<F, Fut, S, R, E, $($ty,)*> Handler<(ViaResult, $($ty,)*), S> for F
        where
            F: FnOnce($($ty),*) -> Fut + Clone + Send + Sync + 'static,
            Fut: Future<Output = Result<R, E>> + Send,
            R: Serialize,
            E: Into<MeshError>,
            S: Clone + Send + Sync + 'static,
            $($ty: FromCommand<S> + Send,)*
        {
            fn call(self, cmd: Command, state: S) -> BoxFuture<'static, Reply> {
                Box::pin(async move {
                    $(let $ty = $ty::from_command(&cmd, &state).await?;)*
                    encode(&self($($ty),*).await.map_err(Into::into)?)
                })
            }
        }

        #[diagnostic::do_not_recommend]
        #[allow(non_snake_case, unused_variables, reason = "one macro for every number of arguments")]
        impl<F, Fut, S, R, $($ty,)*> Handler<(ViaRaw, $($ty,)*), S> for F
        where
            F: FnOnce($($ty),*) -> Fut + Clone + Send + Sync + 'static,
            Fut: Future<Output = R> + Send,
            R: IntoRaw,
            S: Clone + Send + Sync + 'static,
            $($ty: FromCommand<S> + Send,)*
        {
            fn call(self, cmd: Command, state: S) -> BoxFuture<'static, Reply> {
                Box::pin(async move {
                    $(let $ty = $ty::from_command(&cmd, &state).await?;)*
                    self($($ty),*).await.into_raw()
                })
            }
        }

        #[diagnostic::do_not_recommend]
        #[allow(non_snake_case, unused_variables, reason = "one macro for every number of arguments")]
        impl<F, Fut, S, V, $($ty,)*> Guard<($($ty,)*), S> for F
        where
            F: FnOnce($($ty),*) -> Fut + Clone + Send + Sync + 'static,
            Fut: Future<Output = V> + Send,
            V: IntoVerdict,
            S: Clone + Send + Sync + 'static,
            $($ty: FromCommand<S> + Send,)*
        {
            fn check(self, cmd: Command, state: S) -> BoxFuture<'static, Result<()>> {
                Box::pin(async move {
                    $(let $ty = $ty::from_command(&cmd, &state).await?;)*
                    self($($ty),*).await.into_verdict()
                })
            }
        }

        #[diagnostic::do_not_recommend]
        #[allow(non_snake_case, unused_variables, reason = "one macro for every number of arguments")]
        impl<F, Fut, S, O, $($ty,)*> Hook<($($ty,)*), S> for F
        where
            F: FnOnce($($ty),*) -> Fut + Clone + Send + Sync + 'static,
            Fut: Future<Output = O> + Send,
            O: HookOutcome,
            S: Clone + Send + Sync + 'static,
            $($ty: FromCommand<S> + Send,)*
        {
            fn run(self, cmd: Command, state: S) -> BoxFuture<'static, Result<()>> {
                Box::pin(async move {
                    $(let $ty = $ty::from_command(&cmd, &state).await?;)*
                    self($($ty),*).await.into_result()
                })
            }
        }
    };
}

impl_callbacks!();
impl_callbacks!(T1);
impl_callbacks!(T1, T2);
impl_callbacks!(T1, T2, T3);
impl_callbacks!(T1, T2, T3, T4);
impl_callbacks!(T1, T2, T3, T4, T5);
impl_callbacks!(T1, T2, T3, T4, T5, T6);
impl_callbacks!(T1, T2, T3, T4, T5, T6, T7);
impl_callbacks!(T1, T2, T3, T4, T5, T6, T7, T8);
