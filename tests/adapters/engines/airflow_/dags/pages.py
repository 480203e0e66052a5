"""The DAGs of the tests: a page is got or put, as the run's conf says."""

import airflow.sdk as sdk
from airflow.providers.standard.operators.bash import BashOperator
from airflow.providers.standard.operators.python import PythonOperator

from adapters.conformance.sink import page

NUMBER = "{{ dag_run.conf['number'] }}"
PLAIN = {"schedule": None, "render_template_as_native_obj": True}


def got(id: int) -> dict[str, object]:  # noqa: A002 - the argument's name
    return page("page.get", id)


@sdk.dag(**PLAIN)
def get():
    @sdk.task
    def step(id: int) -> dict[str, object]:  # noqa: A002 - the argument's name
        return page("page.get", id)

    step(NUMBER)


@sdk.dag(**PLAIN)
def put():
    @sdk.task
    def step(id: int) -> dict[str, object]:  # noqa: A002 - the argument's name
        return page("page.put", id)

    step(NUMBER)


@sdk.dag(**PLAIN)
def classic():
    PythonOperator(task_id="step", python_callable=got, op_kwargs={"id": NUMBER})


@sdk.dag(**PLAIN)
def positional():
    PythonOperator(task_id="step", python_callable=got, op_args=[NUMBER])


@sdk.dag(**PLAIN)
def mapped():
    @sdk.task
    def step(id: int) -> dict[str, object]:  # noqa: A002 - the argument's name
        return page("page.get", id)

    step.expand(id=[1, 2, 13])


@sdk.dag(**PLAIN)
def unknown():
    """A task that no tool is named for."""

    @sdk.task
    def step() -> dict[str, object]:
        return page("page.get", 99)

    step()


@sdk.dag(**PLAIN)
def shell():
    BashOperator(task_id="step", bash_command="touch {{ dag_run.conf['touched'] }}")


@sdk.dag(**PLAIN)
def harmless():
    """Nothing but what is known to reach nothing."""
    from airflow.providers.standard.operators.empty import EmptyOperator

    EmptyOperator(task_id="step")


for each in (get, put, classic, positional, mapped, unknown, shell, harmless):
    each()
