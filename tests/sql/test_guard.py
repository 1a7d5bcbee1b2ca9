"""What a query may say: reading named tables, and nothing else."""

import pytest

from ksi_pipeline.connectors.sql.guard import require_harmless
from ksi_pipeline.core.errors import ConfigError


def check(query, tables=("sales", "pos.lines"), functions=(), backend="postgresql"):
    return require_harmless("till", query, tables, functions, backend)


@pytest.mark.parametrize(
    "query",
    [
        "select * from sales",
        'select * from "sales", SALES ;',
        "select * from pos.lines l join sales s on s.no = l.no where s.time > now()",
        "with few as (select * from sales) select * from few",
        # inside itself such a name still means the table
        "with sales as (select * from sales) select * from sales",
        "with recursive n as (select 1 as i union all select i + 1 from n) select * from n",
        "select no, sum(net) over (partition by store), time::date, coalesce(qty, 0) from sales",
        "(select 1 from sales) union all select 2 from pos.lines",
        "select ':x' as a, '%' as b from sales -- and a comment",
    ],
)
def test_reading_named_tables_is_let_through(query):
    assert check(query) == query.rstrip(" ;")


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("select * from customers", "reads customers"),
        ("select * from sales, pos.customers", "reads pos.customers"),
        ("select * from lines", "reads lines"),
        ("select (select max(name) from customers) from sales", "reads customers"),
        ("select * from sales union select * from customers", "reads customers"),
        (
            "select * from (with customers as (select 1) select * from customers) a, customers",
            "reads",
        ),
        ("with customers as (select * from customers) select * from customers", "reads customers"),
        ("select * from sales where no in (table customers)", "reads customers"),
        ("select 1; select 2", "2 statements"),
        ("", "0 statements"),
        ("delete from sales", "no SELECT"),
        ("with gone as (delete from sales returning *) select * from gone", "DELETE"),
        ("select * into copy from sales", "INTO"),
        ("select * from sales for update", "LOCK"),
        ("copy sales to '/tmp/out'", "no SELECT"),
        ("set role admin", "no SELECT"),
        ("select 1 /*! from customers */", "/*!"),
        ("selec * fro sales", "query"),
        (r"select E'\' as a from sales union select no from customers --'", "backslash"),
        (r"select 'a\\' from sales", "backslash"),
    ],
)
def test_whatever_else_is_refused_with_its_reason(query, said):
    with pytest.raises(ConfigError, match="query: cannot be used") as refused:
        check(query)
    assert refused.value.code == "E_SQL_QUERY"
    assert said in str(refused.value)


@pytest.mark.parametrize(
    "call",
    [
        "pg_read_file('/etc/passwd')",
        "pg_catalog.pg_read_file('/etc/passwd')",
        "PG_LS_DIR('.')",
        "lo_import('/etc/passwd')",
        "dblink('host=x', 'select 1')",
        "set_config('transaction_read_only', 'off', true)",
        "nextval('numbers')",
        "query_to_xml('delete from sales', true, true, '')",
    ],
)
def test_a_function_that_reads_files_or_changes_something_is_refused_though_it_is_named(call):
    name = call.partition("(")[0].lower()
    for query in (f"select {call} from sales", f"select * from {call} as x"):
        with pytest.raises(ConfigError, match="reads files, other servers or settings"):
            check(query, functions=[name])


def test_a_function_that_is_not_of_the_standard_has_to_be_named():
    query = "select pos.net_of(no) from sales"
    with pytest.raises(ConfigError, match=r"calls pos\.net_of, which is not of the SQL standard"):
        check(query)
    assert check(query, functions=["pos.net_of"]) == query


def test_files_of_other_databases_are_refused_as_well():
    for backend, query in (
        ("duckdb", "select * from read_csv('/etc/passwd')"),
        ("mysql", "select load_file('/etc/passwd')"),
        ("mssql", "select * from openrowset('x', 'y', 'z')"),
        ("sqlite", "select load_extension('x')"),
    ):
        with pytest.raises(ConfigError, match="query: cannot be used"):
            check(query, backend=backend)


@pytest.mark.parametrize(
    ("backend", "query"),
    [
        ("postgresql", 'with "CUSTOMERS" as (select 1 as no) select no from customers'),
        ("postgresql", "select * from (with CUSTOMERS as (select 1) select * from customers) a"),
        ("mssql", "with CUSTOMERS as (select 1 as no) select no from customers"),
        ("postgresql", 'select * from "Sales"'),
        ("oracle", 'select * from "sales"'),
        ("mysql", "select * from Sales"),
        ("hana", 'select * from "sales"'),
    ],
)
def test_a_name_that_may_mean_another_table_is_refused(backend, query):
    with pytest.raises(ConfigError, match=r"it reads|it has WITH"):
        check(query, backend=backend)


@pytest.mark.parametrize(
    ("backend", "query", "tables"),
    [
        ("postgresql", 'select * from "Sales"', ['"Sales"']),
        ("postgresql", "select * from SALES", ["Sales"]),
        ("sqlite", 'select * from "SALES"', ["sales"]),
        ("oracle", 'select * from "SALES"', ["sales"]),
        ("mysql", "select * from `sales`", ["sales"]),
        ("mssql", "select * from [dbo].[Sales]", ["dbo.sales"]),
        ("hana", 'select * from "sales"', ['"sales"']),
    ],
)
def test_names_are_compared_as_the_database_does(backend, query, tables):
    assert check(query, tables, backend=backend) == query


def test_a_name_of_tables_that_cannot_be_read_is_named():
    with pytest.raises(ConfigError, match="tables: has '\"sales', which is no name of a table"):
        check("select * from sales", ['"sales'])


@pytest.mark.parametrize(
    ("backend", "query"),
    [
        ("sqlite", "select no from sales where 7 in customers"),
        ("sqlite", "select no from sales where (1, 2) in main.customers"),
        ("mssql", "select * from sales cross apply customers"),
        ("mssql", "select * from sales outer apply dbo.customers c"),
        ("oracle", "select * from sales, lateral customers"),
        ("snowflake", "select * from @stage"),
        ("snowflake", "select * from 's3://files/all.csv'"),
        ("snowflake", "select * from table('customers')"),
        ("snowflake", "select * from identifier('customers')"),
        ("snowflake", "select * from table(identifier('customers'))"),
        ("mariadb", "select 1 /*M! from customers */"),
        ("hana", "select no from sales /* /* */ union select no from customers -- */"),
        ("mssql", "select next value for numbers from sales"),
        ("oracle", "select numbers.nextval from sales"),
        ("oracle", "select pos.numbers.CURRVAL from sales"),
        ("mssql", "select * from sales with (updlock)"),
        ("mssql", "select * from sales with (nolock, tablockx)"),
    ],
)
def test_other_ways_to_read_a_table_or_to_write_are_refused(backend, query):
    with pytest.raises(ConfigError, match="query: cannot be used") as refused:
        check(query, backend=backend, functions=["table", "identifier"])
    assert "cannot be read as SQL" not in str(refused.value)


@pytest.mark.parametrize(
    ("backend", "query"),
    [
        ("sqlite", "with few as (select no from sales) select no from sales where no in few"),
        ("sqlite", "select no from sales where no in sales"),
        ("mssql", "select * from sales with (nolock) cross apply (select no as n) b"),
        ("mssql", "select * from sales with (nolock) cross apply sales.items.nodes('/a') as x(y)"),
        ("postgresql", "select * from sales, lateral (select no) x, lateral unnest(nos) y"),
        ("postgresql", "select * from rows from (generate_series(1, 2)) n, (values (1)) v (a)"),
    ],
)
def test_what_only_looks_like_them_is_let_through(backend, query):
    assert check(query, backend=backend, functions=["sales.items.nodes"]) == query
