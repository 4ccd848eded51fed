<?php
// Freshet: add this to the end of your LocalSettings.php. MediaWiki then says how long pages live, and sends PURGE.
$wgUseCdn = true;
$wgCdnServers = [ '127.0.0.1:8080' ];        // the proxy, which gets PURGE
$wgCdnServersNoPurge = [ '127.0.0.1' ];      // whose X-Forwarded-For is believed
$wgUsePrivateIPs = true;
