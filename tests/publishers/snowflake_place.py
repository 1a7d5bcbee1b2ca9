"""A schema in the stand-in for Snowflake, published to and read with Snowflake's own driver."""

import itertools

from .places import MART, NAMES, SECRET, Place

_numbers = itertools.count()


class SnowflakePlace(Place):
    def __init__(self, folder, server, **settings):
        self.server = server
        self.database = f"KSI_{next(_numbers)}"
        logins = {"KSI_PUBLISHER": {"password": SECRET}, "KSI_READER": {"password": SECRET}}
        server.control(users=logins, refusals=[], forget=True)
        given = {
            "id": "t",
            "kind": "snowflake",
            "account": "ksi",
            "url": server.url,
            "user": "KSI_PUBLISHER",
            "password_env": "SNOWFLAKE_PASSWORD",
            "warehouse": "KSI_WH",
            "database": self.database,
            "connect_timeout_s": 20,
            "step_timeout_s": 20,
            "lock_wait_s": 0,
        }
        super().__init__(folder, {**given, **settings}, {"SNOWFLAKE_PASSWORD": SECRET})

    def ask(self, statement):
        """Run a statement as a reader, and give its rows."""
        with self.server.connection(self.database, "KSI_READER", SECRET) as connection:
            return connection.cursor().execute(statement).fetchall()

    def rows(self):
        from snowflake.connector.errors import ProgrammingError

        try:
            return sorted(self.ask(f"select {', '.join(NAMES)} from {MART}"))
        except ProgrammingError as error:
            if error.errno != 2003:
                raise
            return []

    def alter(self, statement):
        self.ask(statement)

    def client_is_gone(self):
        """Let pass what passes by itself: Snowflake rolls back."""
        self.server.control(end_sessions=True)

    def statements(self):
        """Give what Snowflake was told, in order."""
        found = self.server.control()["statements"]
        return [one["sql"] for one in found if "sql" in one]
