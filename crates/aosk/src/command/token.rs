//! `aosk token`: who may speak to the kernel over TCP.

use aosk::Clock;
use aosk::abi::Error;
use aosk_server::access::{Kept, Role, Tokens};

use crate::cli::{Place, TokenArgs, TokenCommand};
use crate::fail::Done;
use crate::term::{self, note, table};

pub(crate) fn run(place: &Place, args: &TokenArgs) -> Result<Done, Error> {
    let dir = crate::paths::data_dir(place.data_dir.as_ref())?;
    let tokens = Tokens::of(&dir);
    match &args.command {
        TokenCommand::Create { role, tenant, name, json } => {
            let role = Role::from(*role);
            let name = match name {
                Some(name) => name.clone(),
                None => free_name(role, &tokens.list()?),
            };
            let now = Clock::start().now();
            let made = tokens.create((&name, now), role, tenant.as_deref())?;
            if *json {
                let mut value = public(&made.kept);
                if let Some(value) = value.as_object_mut() {
                    value.insert("token".to_owned(), made.text.into());
                }
                term::json(&value);
            } else {
                term::line(&made.text);
                note(&format!("this is {name}; it is not kept, so it cannot be shown again"));
            }
        }
        TokenCommand::List { json } => list(&tokens.list()?, *json),
        TokenCommand::Revoke { name } => {
            tokens.revoke(name)?;
            note(&format!("{name} is forgotten"));
        }
    }
    Ok(Done::Well)
}

/// The role and the first number that no token of this name has.
fn free_name(role: Role, all: &[Kept]) -> String {
    let mut number = 1_u64;
    loop {
        let name = format!("{}-{number}", role.word());
        if all.iter().all(|kept| kept.name != name) {
            return name;
        }
        number = number.saturating_add(1);
    }
}

fn list(all: &[Kept], json: bool) {
    if json {
        term::json(&all.iter().map(public).collect());
        return;
    }
    let rows = all.iter().map(|kept| {
        let tenant = kept.tenant.clone().unwrap_or_else(|| "(all)".to_owned());
        vec![kept.name.clone(), kept.role.word().to_owned(), tenant, term::time(kept.created)]
    });
    term::line(&table(&["name", "role", "tenant", "created"], &[], rows.collect()));
}

/// What is shown of a token that is kept.
fn public(kept: &Kept) -> serde_json::Value {
    serde_json::json!({
        "name": kept.name, "role": kept.role, "tenant": kept.tenant, "created_ms": kept.created,
    })
}
