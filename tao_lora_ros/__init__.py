"""Always-on inference on IMU and force/torque streams.

The generated messages (`tao_lora_ros.msg`) and the kernels (`tao_lora_ros.kernels`) may lie
elsewhere than this folder: every `tao_lora_ros` folder on the path is part of one package.
"""

import pkgutil

__path__ = pkgutil.extend_path(__path__, __name__)
