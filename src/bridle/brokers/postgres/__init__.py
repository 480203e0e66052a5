"""PostgreSQL: logins made for one action, and what is carried out as a role."""

from bridle.brokers.postgres.broker import PostgresBroker

__all__ = ["PostgresBroker"]
