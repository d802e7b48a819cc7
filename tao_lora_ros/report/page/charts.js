"use strict";
JSON.parse(at("data").textContent).charts.forEach(one => chart(at("charts"), one));
