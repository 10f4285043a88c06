//! An onion around handlers: what a layer does before `next.run(cmd)` happens on the way in, the rest on the way out.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::BoxFuture;

use super::{Command, FromCommand, Handler, Run};
use crate::error::MeshError;

/// An encoded answer, or why there is none.
pub type Reply = Result<Bytes, MeshError>;

/// The rest of the chain.
#[derive(Clone)]
pub struct Next(pub(crate) Run);

impl Next {
    /// Go on, and come back with the answer.
    pub async fn run(self, cmd: Command) -> Reply {
        (self.0)(cmd).await
    }
}

impl fmt::Debug for Next {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Next")
    }
}

/// An async function of extractors, then the command, then what comes next.
#[diagnostic::on_unimplemented(
    message = "this function can't be middleware",
    note = "it must be an async fn of at most 4 extractors, then `Command`, then `Next`, that returns `Reply`"
)]
pub trait Middleware<M, S>: Clone + Send + Sync + 'static {
    /// Run around what comes next.
    fn around(self, cmd: Command, state: S, next: Next) -> BoxFuture<'static, Reply>;
}

macro_rules! impl_middleware {
    ($($ty:ident),*) => {
        #[diagnostic::do_not_recommend]
        #[allow(non_snake_case, unused_variables, reason = "one macro for every number of arguments")]
        impl<F, Fut, S, $($ty,)*> Middleware<($($ty,)*), S> for F
        where
            F: FnOnce($($ty,)* Command, Next) -> Fut + Clone + Send + Sync + 'static,
            Fut: Future<Output = Reply> + Send,
            S: Clone + Send + Sync + 'static,
            $($ty: FromCommand<S> + Send,)*
        {
            fn around(self, cmd: Command, state: S, next: Next) -> BoxFuture<'static, Reply> {
                Box::pin(async move {
                    $(let $ty = $ty::from_command(&cmd, &state).await?;)*
                    self($($ty,)* cmd, next).await
                })
            }
        }
    };
}

impl_middleware!();
impl_middleware!(T1);
impl_middleware!(T1, T2);
impl_middleware!(T1, T2, T3);
impl_middleware!(T1, T2, T3, T4);

/// A handler with middleware of its own. Made by [`Handler::layer`].
pub struct Layered<H, W, M, S> {
    pub(crate) handler: H,
    pub(crate) middleware: W,
    pub(crate) marker: PhantomData<fn() -> (M, S)>,
}

impl<H: Clone, W: Clone, M, S> Clone for Layered<H, W, M, S> {
    fn clone(&self) -> Self {
        Self { handler: self.handler.clone(), middleware: self.middleware.clone(), marker: PhantomData }
    }
}

impl<H, W, M, S> fmt::Debug for Layered<H, W, M, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Layered")
    }
}

#[diagnostic::do_not_recommend]
impl<H, W, MH, MW, S> Handler<PhantomData<MW>, S> for Layered<H, W, MH, S>
where
    H: Handler<MH, S>,
    W: Middleware<MW, S>,
    MH: 'static,
    S: Clone + Send + Sync + 'static,
{
    fn call(self, cmd: Command, state: S) -> BoxFuture<'static, Reply> {
        let Self { handler, middleware, .. } = self;
        let inner = state.clone();
        let next = Next(Arc::new(move |cmd| handler.clone().call(cmd, inner.clone())));
        middleware.around(cmd, state, next)
    }
}
