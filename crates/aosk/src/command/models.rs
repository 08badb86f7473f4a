//! `aosk models`: what is known of models, and whether they answer. Keys are looked for and never shown.

mod list;
mod test;

use aosk::abi::{Error, MicroUsd};

use crate::cli::{ModelsArgs, ModelsCommand, Place};
use crate::config;
use crate::fail::Done;

pub(crate) async fn run(place: &Place, args: &ModelsArgs) -> Result<Done, Error> {
    let config = config::read(place.config.as_ref())?;
    match &args.command {
        ModelsCommand::List(args) => list::run(&config, args),
        ModelsCommand::Test(args) => test::run(&config, args).await,
    }
}

/// An amount of dollars with as many digits as it has, at least those of cents.
fn dollars(amount: MicroUsd) -> String {
    let (whole, micro) = (amount.0 / 1_000_000, amount.0 % 1_000_000);
    let digits = format!("{micro:06}");
    let (cents, rest) = digits.split_at(2);
    format!("{whole}.{cents}{}", rest.trim_end_matches('0'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_amount_has_the_digits_that_it_has() {
        let written = |micro| dollars(MicroUsd(micro));
        assert_eq!(written(0), "0.00");
        assert_eq!(written(3_000), "0.003");
        assert_eq!(written(750_000), "0.75");
        assert_eq!(written(12_500_000), "12.50");
        assert_eq!(written(1_000_001), "1.000001");
    }
}
