<?php
define( 'WP_INSTALLING', true );
$_SERVER += array( 'HTTP_HOST' => '127.0.0.1', 'REQUEST_URI' => '/', 'SERVER_PROTOCOL' => 'HTTP/1.1' );
require $argv[1] . '/wp-load.php';
require ABSPATH . 'wp-admin/includes/upgrade.php';
add_filter( 'pre_wp_mail', '__return_true' );
wp_install( 'Tide tables', 'admin', 'admin@example.com', true, '', 'admin-password' );
foreach ( array( 'alice', 'bob' ) as $name ) {
	( new WP_User( wp_create_user( $name, "$name-password", "$name@example.com" ) ) )->set_role( 'author' );
}
update_option( 'permalink_structure', '/%postname%/' );
update_option( 'comment_previously_approved', 0 );
flush_rewrite_rules();
for ( $i = 1; $i <= 20; $i++ ) {
	wp_insert_post( array( 'post_title' => "Tide $i", 'post_name' => "tide-$i", 'post_content' => "<p>High water of day $i.</p>",
		'post_status' => 'publish', 'post_author' => 1 ) );
}
