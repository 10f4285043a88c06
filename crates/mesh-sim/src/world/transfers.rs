//! Accounts, which are records, and what moves between them: by transactions, and by updates of one record beside them.

use std::collections::{BTreeMap, BTreeSet};

use mesh_server::{Mesh, MeshError, Position, Transaction};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::ledger::{Book, Outcome, is_certain};
use super::streams::{ACCOUNT, ACCOUNTS, RECORDS, Topic};

/// What moves. Accounts are told by their number from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transfer {
    /// From one account to another, if there is so much.
    Between {
        /// Which one has less afterwards.
        from: usize,
        /// Which one has more.
        to: usize,
        /// How much it is.
        amount: i64,
    },
    /// From one to each of the others, if there is so much.
    Spread {
        /// Which one has less afterwards.
        from: usize,
        /// How much each of the others gets.
        amount: i64,
    },
    /// Into one, by an update of this record alone.
    Deposit {
        /// Which one has more afterwards.
        to: usize,
        /// How much it is.
        amount: i64,
    },
}

/// One that was begun.
#[derive(Clone, Copy, Debug)]
struct Begun {
    transfer: Transfer,
    at: Instant,
    outcome: Outcome,
}

/// All that were begun, by their numbers.
#[derive(Debug, Default)]
pub(super) struct Transfers(BTreeMap<u64, Begun>);

/// What an account has, and which transfers made it so, in order.
struct Account {
    balance: i64,
    took: Vec<u64>,
}

impl Account {
    fn of(value: &Value) -> Self {
        let numbers = value["took"].as_array().into_iter().flatten();
        Self {
            balance: value["balance"].as_i64().unwrap_or_default(),
            took: numbers.filter_map(Value::as_u64).collect(),
        }
    }

    fn after(mut self, number: u64, change: i64) -> Value {
        self.took.push(number);
        json!({"balance": self.balance + change, "took": self.took})
    }
}

fn name(account: usize) -> &'static str {
    RECORDS[ACCOUNT + account]
}

impl Transfer {
    /// Each account, and what it has more afterwards.
    fn parts(self) -> Vec<(usize, i64)> {
        match self {
            Self::Between { from, to, amount } => vec![(from, -amount), (to, amount)],
            Self::Spread { from, amount } => {
                let others = (0..ACCOUNTS).filter(|to| *to != from).map(|to| (to, amount));
                let all = amount * (ACCOUNTS as i64 - 1);
                std::iter::once((from, -all)).chain(others).collect()
            }
            Self::Deposit { to, amount } => vec![(to, amount)],
        }
    }

    /// The change of an account, if it is one of them.
    fn change(self, account: usize) -> Option<i64> {
        self.parts().into_iter().find(|(of, _)| *of == account).map(|(_, change)| change)
    }

    /// As the server does it.
    pub(super) async fn run(self, mesh: &Mesh, number: u64) -> mesh_server::Result<()> {
        if let Self::Deposit { to, amount } = self {
            let update = move |now: &Value| Account::of(now).after(number, amount);
            return mesh.record(name(to)).update(update).await.map(drop);
        }
        let parts = self.parts();
        let names: Vec<_> = parts.iter().map(|(account, _)| name(*account)).collect();
        let run = move |tx: &mut Transaction| {
            for (account, change) in &parts {
                let account = (name(*account), Account::of(&tx.get(name(*account))?.unwrap_or_default()));
                if account.1.balance + change < 0 {
                    return Err(MeshError::app("too_little", "not enough there"));
                }
                tx.set(account.0, &account.1.after(number, *change))?;
            }
            Ok(())
        };
        mesh.transaction(&names, run).await
    }
}

impl Transfers {
    pub(super) fn begins(&mut self, number: u64, transfer: Transfer) {
        self.0.insert(number, Begun { transfer, at: Instant::now(), outcome: Outcome::Unknown });
    }

    pub(super) fn ended(&mut self, number: u64, result: Result<(), &str>) {
        let Some(begun) = self.0.get_mut(&number) else { return };
        match result {
            Ok(()) => begun.outcome = Outcome::Done(None),
            Err(code) if is_certain(code) => begun.outcome = Outcome::Refused,
            Err(_) => {}
        }
    }

    /// Which records the last transfer in an account's value is of, all together; and its number, and when it began.
    pub(super) fn last(&self, value: &Value) -> Option<(u64, Instant, Vec<usize>)> {
        let number = *Account::of(value).took.last()?;
        let begun = self.0.get(&number)?;
        let records = begun.transfer.parts().into_iter().map(|(account, _)| ACCOUNT + account);
        Some((number, begun.at, records.collect()))
    }

    /// What does not fit in an account at a version.
    fn check(&self, account: usize, version: u64, value: &Value) -> Option<String> {
        let it = Account::of(value);
        if it.took.len() as u64 != version {
            return Some(format!("{} transfers made version {version}", it.took.len()));
        }
        let (mut sum, mut seen) = (0, BTreeSet::new());
        for number in &it.took {
            let begun = self.0.get(number).filter(|begun| begun.outcome != Outcome::Refused);
            let Some(change) = begun.and_then(|begun| begun.transfer.change(account)) else {
                return Some(format!("transfer {number} did not take place: {:?}", self.0.get(number)));
            };
            if !seen.insert(number) {
                return Some(format!("transfer {number} took place twice"));
            }
            sum += change;
        }
        let fits = sum == it.balance && sum >= 0;
        (!fits).then(|| format!("the transfers of it make {sum}"))
    }

    /// What does not fit in all accounts together. Where all were kept each is there that was answered; where one may have
    /// been lost by itself, nothing is to be said.
    fn check_all(&self, accounts: &[Account], kept: bool) -> Vec<String> {
        let mut found = Vec::new();
        for (number, begun) in &self.0 {
            let took: Vec<_> = begun
                .transfer
                .parts()
                .into_iter()
                .map(|(account, _)| accounts[account].took.contains(number))
                .collect();
            if took.iter().any(|it| *it != took[0]) {
                found.push(format!("transfer {number} took place by half: {begun:?}"));
            } else if kept && matches!(begun.outcome, Outcome::Done(_)) && !took[0] {
                found.push(format!("transfer {number} was answered and is not there: {begun:?}"));
            }
        }
        for (n, one) in accounts.iter().enumerate() {
            for other in &accounts[n + 1..] {
                let shared = |a: &Account, b: &Account| {
                    a.took.iter().copied().filter(|number| b.took.contains(number)).collect::<Vec<_>>()
                };
                if shared(one, other) != shared(other, one) {
                    found.push(format!(
                        "two accounts took the same in another order: {:?}",
                        shared(one, other)
                    ));
                }
            }
        }
        found
    }
}

impl Book {
    /// Somebody was told what an account is.
    pub(super) fn check_account(&mut self, topic: Topic, at: Position, value: &Value) {
        let Topic::Record(record) = topic else { return };
        let Some(account) = record.checked_sub(ACCOUNT) else { return };
        if let Some(what) = self.transfers.check(account, at.offset, value) {
            self.complain(format!("{what}: {} at {at:?} is {value}", topic.name()));
        }
    }
}

/// All or nothing of each transfer, in one order.
pub(super) async fn judge(
    mesh: &Mesh,
    book: &super::ledger::Ledger,
    found: &mut Vec<String>,
) -> mesh_server::Result<()> {
    let mut accounts = Vec::new();
    for account in 0..ACCOUNTS {
        accounts.push(Account::of(&mesh.record(name(account)).get::<Value>().await?.unwrap_or_default()));
    }
    book.with(|book| found.append(&mut book.transfers.check_all(&accounts, !book.lossy)));
    Ok(())
}
