"use strict";
begin(JSON.parse(at("data").textContent));
