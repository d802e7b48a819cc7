"""The node: a lifecycle around one session."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict
from functools import wraps
from threading import Event
from typing import Any

from lifecycle_msgs.srv import ChangeState
from rcl_interfaces.msg import SetParametersResult
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.parameter import Parameter
from rclpy.subscription import Subscription

from tao_lora_ros.engine.parameter import SettingsError, is_ours
from tao_lora_ros.engine.settings import settings_from
from tao_lora_ros.messages.errors import TaoLoraError
from tao_lora_ros.messages.texts import MOST_LINE, error_line, shown
from tao_lora_ros.ros.failures import Failures
from tao_lora_ros.ros.other_participant import OtherParticipant
from tao_lora_ros.ros.parameters import declare
from tao_lora_ros.ros.session import IDLE_S, Session

_ChangeState = Callable[[ChangeState.Request, ChangeState.Response], ChangeState.Response]
_Transition = Callable[["PipelineNode", LifecycleState], TransitionCallbackReturn]


def _log_failures(transition: _Transition) -> _Transition:
    """Log what a transition raises; rclpy would drop it without a word."""

    @wraps(transition)
    def logged(node: PipelineNode, state: LifecycleState) -> TransitionCallbackReturn:
        try:
            return transition(node, state)
        except TaoLoraError as error:
            node.get_logger().fatal(shown(error, MOST_LINE))
            return TransitionCallbackReturn.ERROR
        except Exception as error:
            node.failures.report(transition.__name__.removeprefix("on_"), error)
            return TransitionCallbackReturn.ERROR

    return logged


class PipelineNode(LifecycleNode):
    """Lifecycle node around one `Pipeline`.

    `configure` loads and warms the model, `activate` subscribes, `deactivate` unsubscribes and
    closes the open event. A transition that fails unexpectedly leaves the node unconfigured.

    An executor serves it for up to `rest_s()` in turn with `take()`, which deals with the sensors'
    messages. A callback a message would cost the node more than all it does with them.

    Raises:
        SettingsError: a parameter is unknown, of the wrong type or out of range.
    """

    def __init__(self, name: str, **kwargs) -> None:
        super().__init__(name, **kwargs)
        self.failures = Failures(self.get_logger())
        self.other_participant = OtherParticipant(self)
        self.stopping = Event()  # set by who is to end the node: long work gives up
        self.configuring = False  # loads and compiles, and holds nothing that needs closing
        self._session: Session | None = None  # while configured
        self._settings = declare(self)
        self.add_on_set_parameters_callback(self._on_parameters)
        for service in self.services:  # rclpy's own
            callback = service.callback
            if service.srv_name.endswith("/change_state"):
                callback = self._guarded(callback)
            service.callback = self._answered(service.srv_name.rpartition("/")[2], callback)

    def _answered(
        self, name: str, callback: Callable[[Any, Any], Any]
    ) -> Callable[[Any, Any], Any]:
        """Answer with nothing what rclpy cannot read, such as a type that no parameter has."""

        def answered(request: Any, response: Any) -> Any:
            try:
                return callback(request, response)
            except Exception as error:  # who asked would wait for good
                line = f"{type(error).__name__}: {error_line(error)}"
                self.get_logger().warning(f"refused: {name}: {line}")
                return type(response)()

        return answered

    def _guarded(self, change_state: _ChangeState) -> _ChangeState:
        """Refuse what the state does not allow; rclpy's own service ends the process."""

        def guarded(
            request: ChangeState.Request, response: ChangeState.Response
        ) -> ChangeState.Response:
            asked = request.transition.label or request.transition.id
            allowed = self._state_machine.available_transitions
            if any(asked in transition[:2] for transition in allowed):
                return change_state(request, response)
            state = self._state_machine.current_state[1]
            hint = "; set autostart: false where a lifecycle manager starts the node"
            self.get_logger().warning(
                f"refused: transition '{shown(asked)}' in state '{state}'{hint * self.autostart}"
            )
            return ChangeState.Response(success=False)

        return guarded

    @property
    def autostart(self) -> bool:
        """Whether the node is to configure and activate itself."""
        return self._settings.autostart

    def start(self) -> bool:
        """Configure and activate; False where that fails."""
        success = TransitionCallbackReturn.SUCCESS
        return self.trigger_configure() == success and self.trigger_activate() == success

    @_log_failures
    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Load the model, build the pipeline, advertise."""
        self.configuring = True
        try:
            self._session = Session(
                self, self._settings, self.failures, self.stopping, self.other_participant
            )
        except TaoLoraError as error:
            self.get_logger().fatal(shown(error, MOST_LINE))
            return TransitionCallbackReturn.FAILURE
        finally:
            self.configuring = False
        return TransitionCallbackReturn.SUCCESS

    @_log_failures
    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Subscribe to the sources."""
        result = super().on_activate(state)
        if self._session:
            self._session.open()
        return result

    @_log_failures
    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Unsubscribe and close the open event."""
        if self._session:
            self._session.stop()
        return super().on_deactivate(state)

    @_log_failures
    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Let go of the model and the publishers."""
        self._release()
        return TransitionCallbackReturn.SUCCESS

    @_log_failures
    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Close the open event, wait until it has arrived, and let go of everything."""
        if self._session:
            self._session.stop()
            self._session.drain()
        self._release()
        return TransitionCallbackReturn.SUCCESS

    @_log_failures
    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Let go of what a failed transition left behind."""
        self._release()
        return TransitionCallbackReturn.SUCCESS

    def destroy_node(self) -> None:
        """Leave the graph."""
        self.other_participant.close()
        super().destroy_node()

    def _release(self) -> None:
        session, self._session = self._session, None
        if session:
            session.close()

    @property
    def subscriptions(self) -> Iterator[Subscription]:
        """What an executor is to serve: all but the sensors' topics."""
        inputs = self._session.inputs if self._session else []
        own = [input.subscription for input in inputs]
        return (subscription for subscription in super().subscriptions if subscription not in own)

    def rest_s(self) -> float:
        """How long an executor may take until the next `take`."""
        return self._session.rest_s() if self._session else IDLE_S

    def take(self) -> None:
        """Deal with all messages that came, in the order of their arrival."""
        if self._session:
            self._session.take()

    def _on_parameters(self, changes: list[Parameter]) -> SetParametersResult:
        values = {change.name: change.value for change in changes if is_ours(change.name)}
        try:
            settings = settings_from(asdict(self._settings) | values)
        except SettingsError as error:
            return SetParametersResult(successful=False, reason=shown(error, MOST_LINE))
        try:
            if self._session:
                self._session.apply(settings)
        except Exception as error:
            reason = self.failures.report("apply the parameters", error)
            return SetParametersResult(successful=False, reason=reason)
        self._settings = settings
        return SetParametersResult(successful=True)
