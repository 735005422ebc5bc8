DROP INDEX clicks.ledger_expired_day;
DROP INDEX clicks.rejected_kept;
DROP INDEX clicks.conversion_waiting_since;
