"""The DAGs of the tests: a page is got or put, as the run's conf says."""

from airflow import sdk
from airflow.providers.standard.operators.bash import BashOperator
from airflow.providers.standard.operators.python import PythonOperator

from adapters.conformance.sink import page

NUMBER = "{{ dag_run.conf['number'] }}"


def got(id: int) -> dict[str, object]:  # noqa: A002 - the argument's name
    return page("page.get", id)


@sdk.dag(schedule=None, render_template_as_native_obj=True)
def get():
    @sdk.task
    def step(id: int) -> dict[str, object]:  # noqa: A002 - the argument's name
        return page("page.get", id)

    step(NUMBER)


@sdk.dag(schedule=None, render_template_as_native_obj=True)
def put():
    @sdk.task
    def step(id: int) -> dict[str, object]:  # noqa: A002 - the argument's name
        return page("page.put", id)

    step(NUMBER)


@sdk.dag(schedule=None, render_template_as_native_obj=True)
def classic():
    PythonOperator(task_id="step", python_callable=got, op_kwargs={"id": NUMBER})


@sdk.dag(schedule=None, render_template_as_native_obj=True)
def positional():
    PythonOperator(task_id="step", python_callable=got, op_args=[NUMBER])


@sdk.dag(schedule=None, render_template_as_native_obj=True)
def mapped():
    @sdk.task
    def step(id: int) -> dict[str, object]:  # noqa: A002 - the argument's name
        return page("page.get", id)

    step.expand(id=[1, 2, 13])


@sdk.dag(schedule=None, render_template_as_native_obj=True)
def unknown():
    """A task that no tool is named for."""

    @sdk.task
    def step() -> dict[str, object]:
        return page("page.get", 99)

    step()


@sdk.dag(schedule=None, render_template_as_native_obj=True)
def shell():
    BashOperator(task_id="step", bash_command="touch {{ dag_run.conf['touched'] }}")


@sdk.dag(schedule=None, render_template_as_native_obj=True)
def harmless():
    """Nothing but what is known to reach nothing."""
    from airflow.providers.standard.operators.empty import EmptyOperator

    EmptyOperator(task_id="step")


class EmptyOperator(sdk.BaseOperator):
    """A namesake of what is harmless, which is not."""

    def execute(self, context: object) -> object:
        return page("page.get", 99)


EmptyOperator.__module__ = "airflow.providers.standard.operators.empty"


@sdk.dag(schedule=None)
def namesake():
    EmptyOperator(task_id="step")


@sdk.dag(schedule=None)
def replaced():
    """A harmless task, and over its execute another."""
    from airflow.providers.standard.operators.empty import EmptyOperator

    step = EmptyOperator(task_id="step")
    step.execute = lambda context: page("page.get", 99)


def also(id: int, templates_dict: dict[str, int]) -> dict[str, object]:  # noqa: A002 - the argument's name
    return page("page.get", templates_dict["id"])


@sdk.dag(schedule=None, render_template_as_native_obj=True)
def templated():
    """What the function is given beside its arguments."""
    PythonOperator(
        task_id="step",
        python_callable=also,
        op_kwargs={"id": 7},
        templates_dict={"id": NUMBER},
    )


MORE = (namesake, replaced, templated)
for each in (get, put, classic, positional, mapped, unknown, shell, harmless, *MORE):
    each()
