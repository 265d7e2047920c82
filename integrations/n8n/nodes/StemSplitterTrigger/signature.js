"use strict";
Object.defineProperty(exports, "__esModule", { value: true });
exports.isGenuine = isGenuine;
var crypto_1 = require("crypto");
var TOLERANCE_S = 300;
/** Returns true if a header `t=…,v1=…` has a signature of the body that is at most five minutes old. */
function isGenuine(body, header, secret, now) {
    var parts = header.split(',').map(function (part) { return part.trim().split('='); });
    var times = parts.filter(function (_a) {
        var name = _a[0];
        return name === 't';
    }).map(function (_a) {
        var value = _a[1];
        return value;
    });
    if (!secret || times.length !== 1 || !/^[0-9]{1,11}$/.test(times[0]))
        return false;
    if (Math.abs(now - Number(times[0])) > TOLERANCE_S)
        return false;
    var expected = (0, crypto_1.createHmac)('sha256', secret).update("".concat(times[0], ".")).update(body).digest('hex');
    return parts.some(function (_a) {
        var name = _a[0], value = _a[1];
        return name === 'v1' && isEqual(value, expected);
    });
}
function isEqual(given, expected) {
    var _a = [Buffer.from(given), Buffer.from(expected)], one = _a[0], other = _a[1];
    return one.length === other.length && (0, crypto_1.timingSafeEqual)(one, other);
}
