//! Currencies.

use std::fmt;

use super::fault::{Problem, Reason};

/// The codes of ISO 4217 as in the `iso-codes` project of 2026-02, without metals, funds, units of account and codes for
/// tests: nobody pays with those. Sorted.
const CODES: &str = "\
    AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BHD BIF BMD BND BOB BRL BSD BTN BWP BYN BZD CAD CDF CHF \
    CLP CNY COP CRC CUP CVE CZK DJF DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GNF GTQ GYD HKD \
    HNL HTG HUF IDR ILS INR IQD IRR ISK JMD JOD JPY KES KGS KHR KMF KPW KRW KWD KYD KZT LAK LBP LKR LRD LSL \
    LYD MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MYR MZN NAD NGN NIO NOK NPR NZD OMR PAB PEN PGK PHP \
    PKR PLN PYG QAR RON RSD RUB RWF SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT \
    TND TOP TRY TTD TWD TZS UAH UGX USD UYU UZS VED VES VND VUV WST XAF XCD XCG XOF XPF YER ZAR ZMW ZWG";

/// A currency, by its code in ISO 4217.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Currency(&'static str);

impl Currency {
    /// Takes a code in capital letters.
    pub fn parse(text: &str) -> Result<Self, Problem> {
        if text.is_empty() {
            return Err(Problem::required("the currency"));
        }
        let is_code = text.len() == 3 && text.bytes().all(|byte| byte.is_ascii_uppercase());
        let found = CODES.split(' ').find(|code| is_code && *code == text);
        let unknown = || {
            let given: String = text.chars().take(10).collect();
            let text =
                format!("there is no currency {given:?}; write its code of ISO 4217, for example `EUR`");
            Problem::new(Reason::UnknownValue, text)
        };
        found.map(Self).ok_or_else(unknown)
    }

    /// Returns the code.
    pub fn as_str(self) -> &'static str {
        self.0
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl fmt::Debug for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_sorted_and_read_back() {
        let codes: Vec<_> = CODES.split(' ').collect();
        assert!(codes.is_sorted() && codes.iter().all(|code| code.len() == 3), "{codes:?}");
        for code in codes {
            assert_eq!(Currency::parse(code).unwrap().as_str(), code);
        }
    }

    #[test]
    fn what_is_no_currency_is_refused() {
        for text in ["eur", "EU", "EURO", "XAU", "XTS", "ABC", "E R", "€", "EUR USD"] {
            assert_eq!(Currency::parse(text).unwrap_err().reason, Reason::UnknownValue, "{text}");
        }
        assert_eq!(Currency::parse("").unwrap_err().reason, Reason::Required);
    }
}
